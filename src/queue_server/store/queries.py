"""Loads a file of named SQL queries: `-- name: claim`, then lines of SQL, up to the next name."""

import re
from collections.abc import Mapping
from importlib.resources import files

_NAME = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)
_COMMENT = re.compile(r"^\s*--.*$", re.MULTILINE)


def load_queries(package: str) -> Mapping[str, str]:
    """The queries of `queries.sql` in `package`, by name, without comments."""
    parts = _NAME.split(files(package).joinpath("queries.sql").read_text("utf-8"))
    return {name: _COMMENT.sub("", body).strip() for name, body in zip(parts[1::2], parts[2::2], strict=True)}
