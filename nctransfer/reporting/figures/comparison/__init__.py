"""Losses and projection heads."""
