"""Where units, head and penultimate feature of a network are: one module for each family of architectures."""
