"""Models as the feature job reads them: one module a kind, so that a job depends on its own alone."""
