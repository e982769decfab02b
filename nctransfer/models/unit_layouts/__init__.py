"""Unit layouts, one module each: where units, head and penultimate feature are in a kind of network."""
