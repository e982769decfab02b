"""Fine-tuning: which parameters train, where the skip goes, the cached frozen prefix."""
