"""Figures: one folder each, found by name.

Its ``figure.py`` holds ``SETTINGS``, the class of its settings; ``tabulate(settings, tables)`` gives the
plotted numbers from tidy tables by (name, model, view), and ``draw(numbers, settings)`` the picture.
"""
