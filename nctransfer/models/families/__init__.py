"""Where units, head and penultimate feature of a network are: one module an architecture family."""
