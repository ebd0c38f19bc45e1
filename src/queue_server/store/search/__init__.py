"""Finding the jobs of a filter in any SQL database."""
