"""Neural-collapse metrics: pure functions of features and labels."""
