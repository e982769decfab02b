"""What is to be made, from what: configuration, grid of jobs; imports no library but YAML's."""
