"""The steps of the SQLite schema."""
