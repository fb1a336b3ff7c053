"""Pictures as MNIST makes them, and with their blocks in a random order."""
