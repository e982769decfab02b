"""Solvers of linear probes: one module each, with the same ``fit``."""
