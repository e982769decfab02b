"""Where pre-trained networks come from: one module a source."""
