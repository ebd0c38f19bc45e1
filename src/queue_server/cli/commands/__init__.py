"""One module for each command; its object `command` is what the root command imports."""
