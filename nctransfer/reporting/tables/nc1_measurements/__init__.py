"""Which figures and tables show NC1."""
