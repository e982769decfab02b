"""Fine-tuning: which parameters train, skip connections, the cached frozen prefix."""
