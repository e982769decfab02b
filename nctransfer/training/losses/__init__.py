"""Losses: one folder each, found by name; ``build(settings, classes)`` in its ``loss.py`` creates it."""
