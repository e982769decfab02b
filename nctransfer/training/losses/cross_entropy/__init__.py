"""The softmax cross-entropy."""
