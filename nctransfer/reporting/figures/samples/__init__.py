"""Accuracy by samples per class."""
