"""Figures: one module each, found by name; `tabulate` gives the plotted numbers, `draw` the picture."""
