"""From data sets as they are published to image stores of uint8 on disk."""
