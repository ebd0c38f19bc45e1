"""What keeps web pages away: a page that a user of this machine or network looks at can send requests here too.

Two attacks, also on loopback:

    cross-site requests   a page sends a form or a fetch to us. Browsers say where it comes from: Origin, or
                          Sec-Fetch-Site where there is none (Fetch Metadata, W3C). Only pages of our own and those of
                          `allowed_origins` may; links that a user follows (GET navigations) may come from anywhere,
                          since no page can read what they show.
    DNS rebinding         a page's own name is made to point at our address, so that the browser takes us for its
                          origin. Only Host tells: a name that an attacker can own has a dot and is none of ours. It
                          matters only where no token is asked for, since such a page has none.
"""

from collections.abc import Collection, Mapping
from ipaddress import ip_address

from queue_server.web.errors import Failure

HOSTS_KEPT = 1000


class Browsers:
    """Judges requests by what browsers say of them. `hosts` and `origins` are the settings of these names."""

    def __init__(self, hosts: Collection[str], origins: Collection[str]) -> None:
        self._names = frozenset(host.lower() for host in hosts if not host.startswith("."))
        self._suffixes = tuple(host.lower() for host in hosts if host.startswith("."))
        self._origins = frozenset(origin.lower().rstrip("/").encode() for origin in origins)
        self._known: dict[bytes, bool] = {}

    def allows_origin(self, origin: bytes) -> bool:
        """Whether pages of this foreign origin may ask and read."""
        return origin.lower() in self._origins

    def refuses_page(self, headers: Mapping[bytes, bytes], method: str) -> Failure | None:
        """Why a request may not come from the page that sends it; None if it may, or if no page sends it."""
        origin = headers.get(b"origin")
        if origin is not None:
            host = headers.get(b"host", b"").lower()
            if self.allows_origin(origin) or (host and _authority(origin) == host):
                return None
            return _page_refused(f"pages of {_shown(origin)}")
        site = headers.get(b"sec-fetch-site")
        if site is None or site in (b"same-origin", b"none"):
            return None
        if headers.get(b"sec-fetch-mode") == b"navigate" and method in ("GET", "HEAD"):
            return None
        return _page_refused("pages of other origins")

    def refuses_host(self, host: bytes) -> Failure | None:
        """Why this Host is not taken where no token is asked for; None if it is."""
        is_known = self._known.get(host)
        if is_known is None:
            if len(self._known) >= HOSTS_KEPT:
                self._known.clear()
            is_known = self._known[host] = self._is_ours(host)
        if is_known:
            return None
        return Failure(
            403, f"this server is not known as {_shown(host)}; if it should be, name it in the setting allowed_hosts"
        )

    def _is_ours(self, host: bytes) -> bool:
        name = _without_port(host.decode("latin-1").lower())
        if "." not in name or name in self._names or name.endswith((".localhost", *self._suffixes)):
            return True
        return _is_address(name)


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdecimal() else host).removesuffix(".")


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _authority(origin: bytes) -> bytes:
    scheme, _, authority = origin.lower().partition(b"://")
    return authority.removesuffix(b":443" if scheme == b"https" else b":80")


def _page_refused(who: str) -> Failure:
    return Failure(
        403, f"{who} may not ask this server from a browser; the setting allowed_origins names those that may"
    )


def _shown(text: bytes) -> str:
    return repr(text[:100].decode("latin-1"))
