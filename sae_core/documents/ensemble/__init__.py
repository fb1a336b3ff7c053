"""Documents 000 to 002: an ensemble of k-sparse autoencoders."""
