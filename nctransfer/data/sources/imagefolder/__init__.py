"""Folders of the user's images."""
