"""What is told about the server: logs. Lower than everything that works, so that everything may tell."""
