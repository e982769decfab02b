"""One model on several data sets."""
