"""NC1 and transfer accuracy by unit."""
