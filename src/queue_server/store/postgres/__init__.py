"""The store of a cluster on one PostgreSQL database."""
