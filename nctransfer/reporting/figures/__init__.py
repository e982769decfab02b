"""Figures: one folder each, found by name.

``figure.py`` in the folder has ``SETTINGS``, the class of its settings; ``tabulate(settings, tables)``, which
returns the plotted numbers from tidy tables by (name, model, view); and ``draw(numbers, settings)``.
"""
