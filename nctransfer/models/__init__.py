"""The model zoo: any supported network seen as stem, units, penultimate feature and head."""
