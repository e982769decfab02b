"""Sources of pre-trained networks: one module per source."""
