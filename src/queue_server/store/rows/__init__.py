"""Rows of a database from and to the domain's types: the same columns in every store, whatever its driver.

jobs.py        jobs, their plans and attempts, and what transitions and revisions write
operations.py  actions on many jobs
tokens.py      API tokens
acts.py        the audit log
"""

from typing import Any

Row = tuple[Any, ...]
"""The values of a row, in the order of its query's columns."""
