"""The URL of a database: `postgresql://user:password@host:5432,other-host/name?pool=8`.

Names and options are those of PostgreSQL's own URLs (host, port, sslmode, sslrootcert, target_session_attrs, …), and:

    pool=N        connections of this node, beside one for its heartbeat and one for signals (default 8, at least 4)
    listen=off    no LISTEN and no settings of the session, for poolers that hand transactions around
    prepared=off  no prepared statements either, for those of them that do not know any

Of several hosts the one is used that takes writes (target_session_attrs=read-write), unless the URL says otherwise.
"""

from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec

from queue_server.domain.errors import InvalidSetting

DEFAULT_POOL = 8
LEAST_POOL, GREATEST_POOL = 4, 200
WORDS = {"on": True, "off": False}


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """Where a database is, and how it is used. `dsn` is for the driver, `label` for people: without the password."""

    dsn: str
    label: str
    pool: int = DEFAULT_POOL
    listens: bool = True
    is_direct: bool = True

    @property
    def keeps_sessions(self) -> bool:
        """Whether a connection has a session of its own, so that its settings last and are nobody else's."""
        return self.listens and self.is_direct


def parse_address(db: str) -> Address:
    """The address in the `db` setting. InvalidSetting says what is wrong with it, never with the password."""
    try:
        url = urlsplit(db)
    except ValueError:
        raise InvalidSetting("db: that is no URL; use postgresql://USER@HOST/NAME") from None
    options = dict(parse_qsl(url.query, keep_blank_values=True))
    pool = _pool(options.pop("pool", str(DEFAULT_POOL)))
    listens, is_direct = _switch(options, "listen"), _switch(options, "prepared")
    options.setdefault("target_session_attrs", "read-write")
    where = options.get("host") or url.netloc.rpartition("@")[2] or "this machine"
    name = options.get("dbname") or options.get("database") or url.path.strip("/")
    if not name:
        raise InvalidSetting("db: name a database: postgresql://USER@HOST/NAME")
    return Address(
        dsn=url._replace(query=urlencode(options)).geturl(),
        label=f"the database {name} on {where}",
        pool=pool,
        listens=listens,
        is_direct=is_direct,
    )


def _pool(text: str) -> int:
    if text.isdecimal() and LEAST_POOL <= int(text) <= GREATEST_POOL:
        return int(text)
    raise InvalidSetting(f"db: pool is a number from {LEAST_POOL} to {GREATEST_POOL}")


def _switch(options: dict[str, str], name: str) -> bool:
    word = options.pop(name, "on")
    if word not in WORDS:
        raise InvalidSetting(f"db: {name} is on or off")
    return WORDS[word]
