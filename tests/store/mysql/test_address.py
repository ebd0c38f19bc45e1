import pytest

from queue_server.domain.errors import InvalidSetting
from queue_server.store.mysql.address import parse_address


def test_address_names_everything():
    found = parse_address("mysql://me:p%40ss%3A%2F@one:3307,two,[::1]:9/jobs?pool=12&ssl=verify&galera=single-writer")
    assert found.hosts == (("one", 3307), ("two", 3306), ("::1", 9))
    assert (found.user, found.password, found.database) == ("me", "p@ss:/", "jobs")
    assert (found.pool, found.tls, found.is_single_writer, found.socket) == (12, "verify", True, None)
    assert "p@ss" not in found.label


def test_socket_stands_for_the_hosts():
    found = parse_address("mariadb://me@/jobs?socket=/run/mysqld/mysqld.sock")
    assert (found.socket, found.database) == ("/run/mysqld/mysqld.sock", "jobs")


@pytest.mark.parametrize(
    ("db", "message"),
    [
        ("mysql://me:secret@host", "name a database"),
        ("mysql://me:secret@host/", "name a database"),
        ("mysql://me:secret@host/a/b", "name a database"),
        ("mysql://me:secret@host:99999/a", "99999 is not a port"),
        ("mysql://me:secret@host/a?pool=1", "pool is a number from 4 to 200"),
        ("mysql://me:secret@host/a?pool=x", "pool is a number"),
        ("mysql://me:secret@host/a?colour=red", "no option colour"),
        ("mysql://me:secret@host/a?ssl=maybe", "ssl is required, verify"),
        ("mysql://me:secret@host/a?galera=yes", "galera can only be"),
    ],
)
def test_what_is_wrong_is_said_without_the_password(db, message):
    with pytest.raises(InvalidSetting, match=message) as refused:
        parse_address(db)
    assert "secret" not in str(refused.value)


def test_file_of_authorities_that_is_not_there_is_named(tmp_path):
    found = parse_address(f"mysql://me@host/a?ssl={tmp_path}/ca.pem")
    with pytest.raises(InvalidSetting, match="No such file"):
        found.tls_context()
