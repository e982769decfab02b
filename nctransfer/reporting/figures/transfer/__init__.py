"""Transfer accuracy against NC1."""
