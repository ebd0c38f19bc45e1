"""What a request's head must be like, beyond what the parser holds: RFC 9112's rules of it, and limits.

Two readers of one request who disagree where it ends, or whom it is for, are how requests are smuggled past a proxy. So
whatever can be read in two ways is refused, and the connection is closed.
"""

import re

import httptools

from queue_server.web.errors import Failure

URL_LIMIT = 8 * 1024
"""Bytes of a request's target, as most servers take them."""

HEADERS_LIMIT = 100
"""Headers of one request."""

NOT_HTTP = Failure(400, "this is not a valid HTTP/1.1 request")
URL_TOO_LONG = Failure(414, f"the URL is longer than {URL_LIMIT} bytes")
TOO_MANY_HEADERS = Failure(431, f"the request has more than {HEADERS_LIMIT} headers")
WRONG_VERSION = Failure(400, "this server speaks HTTP/1.1 and HTTP/1.0 only")
NO_HOST = Failure(400, "the request has no Host header (RFC 9112 section 3.2)")
MANY_HOSTS = Failure(400, "the request has more than one Host header (RFC 9112 section 3.2)")
BAD_HOST = Failure(400, "the Host header is no host with an optional port (RFC 9112 section 3.2)")
OTHER_HOST = Failure(400, "the request's target names another host than its Host header (RFC 9112 section 3.2.2)")
NOT_CHUNKED = Failure(400, "the only Transfer-Encoding that is understood is chunked, in HTTP/1.1")

_HOST = re.compile(rb"\A(?:[A-Za-z0-9._~!$&'()*+,;=%-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]*)?\Z")
_ABSOLUTE = re.compile(rb"\Ahttps?://([^/?#]*)", re.IGNORECASE)


class Refused(Exception):
    """Raised within the parser's callbacks: the request gets this failure, and the connection is closed."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.sentence)
        self.failure = failure


def failure_in(error: httptools.HttpParserError) -> Failure:
    """What to answer for an error of the parser: the failure that a callback of ours raised, or that it is no HTTP."""
    cause = error.__context__
    return cause.failure if isinstance(cause, Refused) else NOT_HTTP


def check_host(value: bytes) -> None:
    """Refused unless it is a host with an optional port, or empty."""
    if not _HOST.match(value):
        raise Refused(BAD_HOST)


def check_transfer_encoding(value: bytes) -> None:
    """Refused unless it is just chunked: of another coding a body would be read as it is not meant."""
    if value.strip(b" \t").lower() != b"chunked":
        raise Refused(NOT_CHUNKED)


def check_head(version: str, hosts: int, headers: int, url: bytes, *, is_chunked: bool) -> None:
    """Refused unless the head as a whole is one that can be read in one way only, and within the limits."""
    if version not in ("1.1", "1.0"):
        raise Refused(WRONG_VERSION)
    if len(url) > URL_LIMIT:
        raise Refused(URL_TOO_LONG)
    if headers > HEADERS_LIMIT:
        raise Refused(TOO_MANY_HEADERS)
    if hosts > 1:
        raise Refused(MANY_HOSTS)
    if hosts == 0 and version == "1.1":
        raise Refused(NO_HOST)
    if is_chunked and version == "1.0":
        raise Refused(NOT_CHUNKED)


def target_parts(url: bytes, host: bytes) -> tuple[bytes, bytes]:
    """The path and the query of a request's target. Refused where it names another host than the Host header."""
    if url.startswith(b"/") and not url.startswith(b"//") and b"#" not in url:
        path, _, query = url.partition(b"?")
        return path, query
    if not url.startswith(b"/"):
        absolute = _ABSOLUTE.match(url)
        if absolute is None:
            raise Refused(NOT_HTTP)
        if absolute[1].lower() != host.lower():
            raise Refused(OTHER_HOST)
    parsed = httptools.parse_url(url)
    return parsed.path or b"/", parsed.query or b""
