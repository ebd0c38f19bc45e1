"""What is told about the server: logs and events. Lower than everything that works, so that everything may tell."""
