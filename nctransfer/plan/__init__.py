"""What is to be made, from what: configuration, recipes, grid of jobs; imports no library but YAML's."""
