"""What is alive in the browser, and its Python side."""
