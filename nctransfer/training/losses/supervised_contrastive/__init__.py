"""The supervised contrastive loss."""
