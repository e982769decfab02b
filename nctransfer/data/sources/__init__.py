"""Where images come from: one module a source, found by name; each defines ``open_split``."""
