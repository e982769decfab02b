"""Statistics: one module each, found by name.

Each has ``Options``, the class of its options, and ``measure(table, options)``, which yields findings.
"""
