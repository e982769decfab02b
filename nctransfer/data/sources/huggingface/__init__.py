"""Data sets on the Hugging Face hub, or in its formats."""
