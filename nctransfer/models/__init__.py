"""Models: each supported network is described as stem, units, penultimate feature and head."""
