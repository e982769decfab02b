"""From feature stores to tidy tables: one module a table."""
