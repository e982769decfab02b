"""Tables: one module each, found by name; `tabulate` gives the numbers, `present` what a reader sees."""
