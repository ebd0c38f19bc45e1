"""What kind of server it is, whether it can be used, and which of its settings weaken what we promise."""

import re
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from queue_server.domain.errors import StoreRefused
from queue_server.store.mysql.address import Address
from queue_server.store.mysql.connection import Connection
from queue_server.store.mysql.faults import TIME_LIMIT_S

OLDEST_MARIADB = (10, 6, 0)
OLDEST_MYSQL = (8, 0, 17)
"""SKIP LOCKED and JSON_TABLE, and a binary collation that tells trailing blanks apart."""

PACKET_BYTES = 16 * 1024 * 1024

VARIABLES = (
    "innodb_flush_log_at_trx_commit",
    "sync_binlog",
    "log_bin",
    "binlog_format",
    "innodb_doublewrite",
    "max_allowed_packet",
    "wsrep_on",
)


class Server(msgspec.Struct, frozen=True):
    """A server that can be used. `collation` tells texts apart by their bytes."""

    is_mariadb: bool
    warnings: Sequence[str]

    @property
    def collation(self) -> str:
        """The collation that tells texts apart by their bytes, trailing blanks too."""
        return "utf8mb4_nopad_bin" if self.is_mariadb else "utf8mb4_0900_bin"

    @property
    def reader_settings(self) -> Sequence[str]:
        """What a session is told that only reads: one snapshot for a transaction, and how long a query may take.

        MySQL would tell the next id as it was up to a day ago.
        """
        snapshot = "set session transaction isolation level repeatable read"
        if self.is_mariadb:
            return (snapshot, f"set session max_statement_time = {TIME_LIMIT_S}")
        limits = f"max_execution_time = {TIME_LIMIT_S}000, information_schema_stats_expiry = 0"
        return (snapshot, f"set session {limits}")


async def examine(connection: Connection, address: Address) -> Server:
    """The server that a connection is to; StoreRefused if it is too old, or would lose what it has accepted."""
    ((version,),) = await connection.rows("select version()")
    is_mariadb = "mariadb" in version.lower()
    _check_version(version, OLDEST_MARIADB if is_mariadb else OLDEST_MYSQL, address)
    variables = await _named(connection, "variables", VARIABLES)
    status = await _named(connection, "status", ("wsrep_cluster_size",))
    _check_log(variables, address)
    _check_galera(variables, status, address)
    return Server(is_mariadb, tuple(_weaknesses(variables)))


def _check_version(version: str, oldest: tuple[int, int, int], address: Address) -> None:
    numbers = tuple(map(int, re.findall(r"\d+", version.removeprefix("5.5.5-"))[:3]))
    if numbers < oldest:
        name = "MariaDB" if oldest is OLDEST_MARIADB else "MySQL"
        needed = ".".join(map(str, oldest))
        raise StoreRefused(f"{address.label} is {name} {version}; Queue Server needs {name} {needed} or newer")


def _check_log(variables: Mapping[str, str], address: Address) -> None:
    """The server would refuse every write: it can't tell its replicas in statements what READ COMMITTED has done."""
    if variables.get("log_bin") == "ON" and variables.get("binlog_format") == "STATEMENT":
        raise StoreRefused(f"{address.label} has binlog_format = STATEMENT; Queue Server needs MIXED or ROW")


def _check_galera(variables: Mapping[str, str], status: Mapping[str, str], address: Address) -> None:
    """Galera ignores the locks of other writers until a commit: two nodes could run one job."""
    is_cluster = variables.get("wsrep_on") == "ON" and int(status.get("wsrep_cluster_size") or 0) > 1
    if is_cluster and not address.is_single_writer:
        raise StoreRefused(
            f"{address.label} is a Galera cluster, where several writers don't see each other's locks: have all nodes "
            "write to one host and say so with ?galera=single-writer"
        )


def _weaknesses(variables: Mapping[str, str]) -> Iterator[str]:
    if variables.get("innodb_flush_log_at_trx_commit") != "1":
        yield "innodb_flush_log_at_trx_commit is not 1: the database may lose accepted jobs when its machine fails"
    if variables.get("log_bin") == "ON" and variables.get("sync_binlog") != "1":
        yield "sync_binlog is not 1: replicas may miss accepted jobs after the database's machine failed"
    if variables.get("innodb_doublewrite", "ON") in ("OFF", "0"):
        yield "innodb_doublewrite is off: a power cut may damage the database beyond repair"
    if int(variables.get("max_allowed_packet", PACKET_BYTES)) < PACKET_BYTES:
        yield "max_allowed_packet is less than 16 MiB: large jobs and outputs can't be stored"


async def _named(connection: Connection, what: str, names: Sequence[str]) -> Mapping[str, str]:
    listed = ", ".join(f"'{name}'" for name in names)
    rows = await connection.rows(f"show global {what} where variable_name in ({listed})")
    return {name.lower(): value for name, value in rows}
