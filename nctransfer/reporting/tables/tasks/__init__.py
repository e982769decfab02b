"""Methods of fine-tuning over many tasks."""
