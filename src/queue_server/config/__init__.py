"""Settings: what they are, and where each value comes from."""
