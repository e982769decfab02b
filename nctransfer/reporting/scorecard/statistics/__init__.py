"""Statistics: one module each, found by name.

It holds ``Options``, the class of its options, and ``measure(table, options)``, which yields findings.
"""
