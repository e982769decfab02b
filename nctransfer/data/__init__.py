"""From published data sets to image stores on disk (uint8)."""
