"""Models and units ranked."""
