"""Methods of fine-tuning side by side."""
