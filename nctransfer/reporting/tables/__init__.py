"""Tables: one folder each, found by name.

Its ``table.py`` holds ``SETTINGS``, the class of its settings; ``tabulate(settings, tables)`` gives the
numbers from tidy tables by (name, model, view), and ``present(numbers, settings)`` what a reader sees.
"""
