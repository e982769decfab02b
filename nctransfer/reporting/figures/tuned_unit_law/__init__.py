"""Accuracy and NC1 by the tuned unit."""
