"""Training, and where its logs go."""
