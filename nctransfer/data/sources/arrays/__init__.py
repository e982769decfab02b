"""Arrays in ``.npz`` files."""
