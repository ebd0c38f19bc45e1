"""The URL of a database: `mysql://user:password@host:3306,other-host/name?pool=8`.

pool=N                connections of this node, beside one for its heartbeat (default 8, at least 4)
socket=/path          a Unix socket instead of hosts
ssl=required          TLS, whoever answers; ssl=verify: by an authority that this machine trusts;
                      ssl=/path/ca.pem: by this authority
galera=single-writer  the hosts are of a Galera cluster of which only one is ever written to
"""

import ssl
from pathlib import Path
from urllib.parse import parse_qsl, unquote

import msgspec

from queue_server.domain.errors import InvalidSetting

DEFAULT_PORT = 3306
DEFAULT_POOL = 8
LEAST_POOL, GREATEST_POOL = 4, 200
OPTIONS = ("pool", "socket", "ssl", "galera")


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """Where a database is, and how it is used. `hosts` are tried in order; `socket` stands for them where it is set."""

    hosts: tuple[tuple[str, int], ...]
    user: str
    password: str
    database: str
    socket: str | None = None
    tls: str | None = None
    pool: int = DEFAULT_POOL
    is_single_writer: bool = False

    @property
    def label(self) -> str:
        """The database as people know it, without the password."""
        places = self.socket or ",".join(f"{host}:{port}" for host, port in self.hosts)
        return f"the database {self.database} on {places}"

    def tls_context(self) -> ssl.SSLContext | None:
        """What the connection is encrypted with, None without TLS; InvalidSetting where its file can't be read."""
        if self.tls is None:
            return None
        try:
            context = ssl.create_default_context(cafile=None if self.tls in ("required", "verify") else self.tls)
        except OSError as error:
            raise InvalidSetting(f"db: ssl={self.tls}: {error.strerror or error}") from None
        if self.tls == "required":
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def parse_address(db: str) -> Address:
    """The address in the `db` setting. InvalidSetting says what is wrong with it, never with the password."""
    scheme, _, rest = db.partition("://")
    rest, _, query = rest.partition("?")
    place, _, database = rest.partition("/")
    credentials, _, hosts = place.rpartition("@")
    user, _, password = credentials.partition(":")
    if not database or "/" in database:
        raise InvalidSetting(f"db: name a database: {scheme}://USER@HOST/NAME")
    options = _options(query)
    return Address(
        hosts=tuple(_host(text) for text in hosts.split(",")),
        user=unquote(user) or "root",
        password=unquote(password),
        database=unquote(database),
        socket=options.get("socket"),
        tls=_tls(options.get("ssl")),
        pool=_pool(options.get("pool", str(DEFAULT_POOL))),
        is_single_writer=_is_single_writer(options.get("galera")),
    )


def _options(query: str) -> dict[str, str]:
    options = dict(parse_qsl(query, keep_blank_values=True))
    for name in options:
        if name not in OPTIONS:
            raise InvalidSetting(f"db: there is no option {name}; there are {', '.join(OPTIONS)}")
    return options


def _host(text: str) -> tuple[str, int]:
    """A host, which may be an IPv6 address in brackets, and its port."""
    name, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        name, port = text, str(DEFAULT_PORT)
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise InvalidSetting(f"db: {port} is not a port")
    return name.strip("[]") or "127.0.0.1", int(port)


def _tls(text: str | None) -> str | None:
    if text is None or text in ("required", "verify") or Path(text).is_absolute():
        return text
    raise InvalidSetting("db: ssl is required, verify, or the path of a file with certificates of authorities")


def _pool(text: str) -> int:
    if text.isdecimal() and LEAST_POOL <= int(text) <= GREATEST_POOL:
        return int(text)
    raise InvalidSetting(f"db: pool is a number from {LEAST_POOL} to {GREATEST_POOL}")


def _is_single_writer(text: str | None) -> bool:
    if text not in (None, "single-writer"):
        raise InvalidSetting("db: galera can only be single-writer")
    return text is not None
