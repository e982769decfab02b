"""Folders of the user's own images."""
