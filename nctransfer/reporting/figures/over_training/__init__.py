"""Collapse over the epochs of a pre-training."""
