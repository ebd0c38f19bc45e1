"""The store of a cluster on one MySQL or MariaDB database."""
