"""What is known of published models before any library is imported: units, sizes, costs, accuracies."""
