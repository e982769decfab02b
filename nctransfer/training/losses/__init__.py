"""Losses: a folder each, found by name; ``build(settings, classes)`` of ``loss.py`` makes it."""
