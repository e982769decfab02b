"""How well will a pre-trained model transfer? Scores of its features, and how well they rank models."""
