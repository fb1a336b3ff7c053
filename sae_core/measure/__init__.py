"""Numbers: how good a model is, what its latents do, how they lie to each other."""
