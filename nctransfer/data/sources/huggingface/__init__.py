"""Data sets of the Hugging Face hub, or in its formats."""
