"""What a server's settings say of it, without such a server."""

import pytest

from queue_server.domain.errors import StoreRefused
from queue_server.store.mysql.address import parse_address
from queue_server.store.mysql.warnings import examine

ADDRESS = parse_address("mysql://root@127.0.0.1/jobs")
SAFE = {
    "innodb_flush_log_at_trx_commit": "1",
    "sync_binlog": "1",
    "log_bin": "ON",
    "binlog_format": "ROW",
    "innodb_doublewrite": "ON",
    "max_allowed_packet": "16777216",
}


class Server:
    """Answers questions about settings as a server does."""

    def __init__(self, version: str, cluster_size: int = 1, **variables: str) -> None:
        self._version = version
        self._variables = SAFE | variables
        self._status = {"wsrep_cluster_size": str(cluster_size)}

    async def rows(self, query: str):
        if query == "select version()":
            return [(self._version,)]
        return list((self._variables if "global variables" in query else self._status).items())


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("innodb_flush_log_at_trx_commit", "2"),
        ("sync_binlog", "0"),
        ("innodb_doublewrite", "OFF"),
        ("max_allowed_packet", "1048576"),
    ],
)
async def test_setting_that_weakens_a_promise_is_named(setting, value):
    found = await examine(Server("10.11.2-MariaDB", **{setting: value}), ADDRESS)
    assert [warning.split()[0] for warning in found.warnings] == [setting]


@pytest.mark.parametrize(
    "version", ["10.6.0-MariaDB-log", "5.5.5-10.11.2-MariaDB", "11.4.1-MariaDB", "8.0.17", "8.4.3"]
)
async def test_servers_that_can_do_what_is_needed_are_taken(version):
    found = await examine(Server(version), ADDRESS)
    assert not found.warnings
    assert found.is_mariadb == ("MariaDB" in version)


@pytest.mark.parametrize("version", ["10.5.23-MariaDB", "5.5.5-10.3.1-MariaDB", "5.7.44-log", "8.0.16"])
async def test_older_servers_are_refused(version):
    with pytest.raises(StoreRefused, match="or newer"):
        await examine(Server(version), ADDRESS)


async def test_cluster_of_several_writers_is_refused_unless_only_one_is_written_to():
    galera = Server("10.11.2-MariaDB", cluster_size=3, wsrep_on="ON")
    with pytest.raises(StoreRefused, match="galera=single-writer"):
        await examine(galera, ADDRESS)
    assert not (await examine(galera, parse_address("mysql://root@h/jobs?galera=single-writer"))).warnings


async def test_log_that_cannot_tell_what_was_done_is_refused():
    with pytest.raises(StoreRefused, match="binlog_format"):
        await examine(Server("8.4.3", binlog_format="STATEMENT"), ADDRESS)
