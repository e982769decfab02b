"""Pre-trainings with their source NC1 and transfer accuracy."""
