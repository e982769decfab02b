"""Scores of how well a pre-trained model will transfer, from its features and labels; and how they rank models."""
