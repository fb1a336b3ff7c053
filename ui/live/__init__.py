"""What is alive in the browser, and how it gets there."""
