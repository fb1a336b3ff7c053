"""Document 003: what sparsity is for."""
