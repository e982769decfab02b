"""The scorecard: what the paper claims, what this run found, and whether it holds."""
