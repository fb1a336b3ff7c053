"""The experiments of the source documents: claimed, as documented, ours."""
