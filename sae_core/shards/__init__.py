"""Activations of any kind in a folder of files, which need not fit into memory."""
