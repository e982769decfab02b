"""Networks without weights: one module a library, each imported only when one of its networks is built."""
