"""Where the server itself stands: what http jobs must not reach through it."""

import socket
from ipaddress import ip_address
from urllib.parse import urlsplit

from queue_server.config.settings import Settings
from queue_server.domain.addresses import Address
from queue_server.domain.targets import Database, Surroundings, Targets, read_limits

DATABASE_PORTS = {"postgresql": 5432, "postgres": 5432, "mysql": 3306, "mariadb": 3306}
_ANY_PORT = 9
"""Nothing is sent there."""


def targets_of(settings: Settings, listener: socket.socket, *, is_on_loopback: bool) -> Targets:
    """The rules for targets of a server with these settings; InvalidSetting naming an item that is none."""
    limits = read_limits(settings.http_targets, settings.http_allow, settings.http_deny)
    around = Surroundings(
        is_on_loopback=is_on_loopback,
        own_port=None if listener.family == socket.AF_UNIX else int(listener.getsockname()[1]),
        databases=databases_of(settings.db),
        is_own=is_own,
    )
    return Targets(limits, around)


def is_own(address: Address) -> bool:
    """Whether it is an address of this machine: the system would send to it from itself. Nothing is sent."""
    if address.is_loopback:
        return True
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((str(address), _ANY_PORT))
        except OSError:
            return False
        return str(probe.getsockname()[0]) == str(address)


def databases_of(db: str) -> tuple[Database, ...]:
    """The hosts of a database server (PostgreSQL takes several, by comma) with the addresses they have now."""
    parts = urlsplit(db)
    if parts.scheme not in DATABASE_PORTS:
        return ()
    hosts = parts.netloc.rpartition("@")[2].split(",")
    return tuple(_database(host, DATABASE_PORTS[parts.scheme]) for host in hosts)


def _database(text: str, default_port: int) -> Database:
    parts = urlsplit(f"//{text}")
    host, port = parts.hostname or "localhost", parts.port or default_port
    return Database(host, port, _addresses(host, port))


def _addresses(host: str, port: int) -> tuple[Address, ...]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        return ()
    return tuple(ip_address(str(address[0]).partition("%")[0]) for *_, address in found)
