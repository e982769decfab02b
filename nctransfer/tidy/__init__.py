"""From stores to tidy tables: one module per table."""
