"""Few-shot episodes on features and labels, and the accuracy of a classifier in them."""
