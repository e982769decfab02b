"""Model loaders of the feature job: one module per kind, so that a job depends only on its own."""
