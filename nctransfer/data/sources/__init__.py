"""Where images come from: a folder a source, found by name; its ``read.py`` defines ``open_split``."""
