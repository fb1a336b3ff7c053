"""NumPy in, plotly figure out, in one style; for pages, reports and notebooks."""
