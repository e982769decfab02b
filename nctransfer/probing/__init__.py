"""Linear classifiers on cached features, all units at once."""
