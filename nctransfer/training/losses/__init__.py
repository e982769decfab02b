"""Losses: one module each, found by name; ``build(settings, classes)`` returns an ``Objective``."""
