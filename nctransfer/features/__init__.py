"""One forward pass that writes the features of all units."""
