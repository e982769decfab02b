"""One forward pass, the features of all units."""
