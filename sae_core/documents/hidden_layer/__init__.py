"""Document 004: an SAE on a classifier's hidden layer."""
