"""How a linear probe is found: one module a solver, each with the same ``fit``."""
