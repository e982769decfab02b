"""The configuration: its sections as typed settings, reading, checks, what follows from it."""
