"""Statistics of the scorecard: one module each, found by name; ``measure(table, options)`` gives findings."""
