"""Units ranked."""
