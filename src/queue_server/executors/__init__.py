"""Running commands: the only code that touches the outside on a job's behalf."""
