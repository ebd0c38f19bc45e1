"""The file of named queries."""

from importlib.resources import files

from queue_server.store.mysql.transaction import QUERIES


def test_every_query_is_used_by_its_name():
    """A query that nothing runs is dead code."""

    code = "".join(
        path.read_text() for path in files("queue_server.store.mysql").iterdir() if path.name.endswith(".py")
    )
    assert [name for name in QUERIES if f'"{name}"' not in code] == []
