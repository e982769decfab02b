"""Few-shot accuracy beside collapse."""
