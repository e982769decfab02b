"""Losses: one module each, found by name; `loss(logits, labels)` is the mean over a batch."""
