"""What is measured: one module for each part of the report, each with a `measure` that yields figures."""
