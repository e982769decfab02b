"""Few-shot episodes on features and labels, and what a classifier reaches in them."""
