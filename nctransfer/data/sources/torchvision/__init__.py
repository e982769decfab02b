"""torchvision's data sets."""
