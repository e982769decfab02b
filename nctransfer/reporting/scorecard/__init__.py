"""The scorecard: the paper's claims, the findings of this run, and whether the claims hold."""
