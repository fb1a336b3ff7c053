"""What every model here is: the base classes, their configs and codes, and the networks around an SAE."""
