"""Tables: one folder each, found by name.

``table.py`` in the folder has ``SETTINGS``, the class of its settings; ``tabulate(settings, tables)``, which
returns the numbers from tidy tables by (name, model, view); and ``present(numbers, settings)``, which returns
the readable form.
"""
