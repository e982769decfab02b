"""Figures and tables as pure functions of tidy tables."""
