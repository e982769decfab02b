"""A model's units as a diagram."""
