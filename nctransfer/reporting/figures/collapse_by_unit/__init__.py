"""Collapse by unit after fine-tuning."""
