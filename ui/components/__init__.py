"""Our own components' Python sides; what they are in the browser stands in the folders of `ui`."""
