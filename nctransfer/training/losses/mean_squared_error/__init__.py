"""The rescaled squared error."""
