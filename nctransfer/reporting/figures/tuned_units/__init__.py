"""Accuracy by which units are tuned, or how many."""
