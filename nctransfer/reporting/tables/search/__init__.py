"""Search for learning rate and weight decay."""
