"""Sources of images: one folder per source, found by name; its ``read.py`` defines ``open_split``."""
