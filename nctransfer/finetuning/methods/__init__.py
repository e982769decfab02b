"""Fine-tuning methods: one module each, found by name; ``prepare(task)`` returns a ``TunedNetwork``."""
