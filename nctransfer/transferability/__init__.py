"""Transferability scores of pre-trained models from their features, and how well they rank models."""
