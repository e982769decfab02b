"""Models ranked."""
