"""Networks without weights: one module per library, imported only when one of its networks is built."""
