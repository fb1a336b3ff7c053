"""NumPy in, plotly figure out, in one style; for pages, reports and notebooks."""

from contextlib import suppress

# plotly uses pandas where it finds it, also when another thread is in the middle of importing it, as Streamlit is with
# the first component of a server: it then finds half of it. Here one waits until it is whole.
with suppress(ImportError):
    import pandas  # noqa: F401
