"""Figures and tables, computed only from tidy tables."""
