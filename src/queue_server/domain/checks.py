"""Rules of a job that its types can't express. Each check returns every problem it finds.

The hot path runs `problems_of` on each accepted job, so the common case is a few string searches.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Iterator
from typing import Any, cast
from urllib.parse import urlsplit

from msgspec import UNSET

from queue_server.domain.command import QUERY_METHODS, Command, ExecCommand, HttpCommand
from queue_server.domain.errors import Problem
from queue_server.domain.expect import EXIT_RANGE, HTTP_RANGE, expected_codes
from queue_server.domain.instants import parse_instant
from queue_server.domain.job import JobRequest
from queue_server.domain.retry import Retry

ARGUMENT_LIMIT = 131_071
"""Bytes in one argument of a program: Linux refuses more (MAX_ARG_STRLEN, 32 pages less the closing NUL)."""

MAX_LEVELS = 100
"""Lists and objects in each other within `params`; deeper ones could not be walked when the job runs."""

_PLAIN_URL = re.compile(r"\Ahttps?://[A-Za-z0-9._-]+(?::(?:[1-9]\d{0,3}|[1-5]\d{4}))?(?:[/?#][\x21-\x7e]*)?\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_HEADER_NAME = re.compile(r"\A[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_HEADER_UNSAFE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_OWN_HEADERS = frozenset(
    {"content-length", "transfer-encoding", "connection", "keep-alive", "upgrade", "te", "trailer"}
)


def problems_of(request: JobRequest) -> list[Problem]:
    """All problems of a job whose members have the right types."""
    found = list(command_problems(request.command, "/command"))
    if request.callback_done is not None:
        found += command_problems(request.callback_done, "/callback_done")
    if request.callback_failed is not None:
        found += command_problems(request.callback_failed, "/callback_failed")
    if request.run_at is not None:
        found += time_problems(request.run_at, has_delay=request.delay is not None)
    if request.retry is not None:
        found += retry_problems(request.retry)
    return found


def command_problems(command: Command, path: str) -> Iterator[Problem]:
    """All problems of one command."""
    if isinstance(command, HttpCommand):
        return _http_problems(command, path)
    return _exec_problems(command, path)


def time_problems(run_at: str, *, has_delay: bool) -> Iterator[Problem]:
    """Problems of the members that say when a job may run."""
    if has_delay:
        yield Problem("/run_at", "give delay or run_at, not both")
    try:
        parse_instant(run_at)
    except (ValueError, OverflowError):
        yield Problem("/run_at", "must be an RFC 3339 time with its offset, such as 2026-11-24T09:30:00Z")


def retry_problems(retry: Retry) -> Iterator[Problem]:
    """Problems of a retry setting."""
    if retry.min_delay > retry.max_delay:
        yield Problem("/retry/min_delay", "must not be greater than max_delay")


def _http_problems(command: HttpCommand, path: str) -> Iterator[Problem]:
    if not _PLAIN_URL.match(command.url) and (message := _url_problem(command.url)):
        yield Problem(f"{path}/url", message)
    if command.headers:
        yield from _header_problems(command.headers, f"{path}/headers")
    if command.params and _is_deeper(command.params, MAX_LEVELS):
        yield Problem(f"{path}/params", f"must not be nested deeper than {MAX_LEVELS} levels")
    if command.expect is not None:
        yield from _expect_problems(command.expect, HTTP_RANGE, f"{path}/expect")
    yield from _body_problems(command, path)


def _is_deeper(value: Any, levels: int) -> bool:
    match value:
        case dict():
            members: Iterable[Any] = cast("dict[str, Any]", value).values()
        case list():
            members = cast("list[Any]", value)
        case _:
            return False
    return levels == 0 or any(_is_deeper(member, levels - 1) for member in members)


def _url_problem(url: str) -> str | None:
    if _CONTROL.search(url):
        return "must not contain control characters"
    if not url.lower().startswith(("http://", "https://")):
        return "must start with http:// or https://"
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError as error:
        return f"is not a URL: {error}"
    if not host or " " in parts.netloc or "\\" in parts.netloc:
        return "must name a host"
    return "must name a port from 1 to 65535" if port == 0 else None


def _header_problems(headers: dict[str, str], path: str) -> Iterator[Problem]:
    for name, value in headers.items():
        where = f"{path}/{escape_pointer(name)}"
        if not _HEADER_NAME.match(name):
            yield Problem(where, "is not a header name (RFC 9110 section 5.1)")
        elif name.lower() in _OWN_HEADERS:
            yield Problem(where, "is set by the server and can't be given")
        if _HEADER_UNSAFE.search(value):
            yield Problem(where, "must not contain line ends, NUL or other control characters")


def _body_problems(command: HttpCommand, path: str) -> Iterator[Problem]:
    given = [
        name
        for name, present in (
            ("json", command.json is not UNSET),
            ("body", command.body is not None),
            ("body_base64", command.body_base64 is not None),
        )
        if present
    ]
    if command.params and given and command.effective_method not in QUERY_METHODS:
        given.insert(0, "params (as a form)")
    if len(given) > 1:
        yield Problem(path, f"has more than one body: {', '.join(given)}; give one of them")
    if command.body_base64 is not None:
        try:
            base64.b64decode(command.body_base64, validate=True)
        except (binascii.Error, ValueError):
            yield Problem(f"{path}/body_base64", "is not base64 (RFC 4648 section 4)")


def _exec_problems(command: ExecCommand, path: str) -> Iterator[Problem]:
    if (command.cmd is None) == (command.args is None):
        yield Problem(path, "needs cmd (run by the shell) or args (run without one), not both")
    texts = [("cmd", command.cmd), ("cwd", command.cwd)]
    texts += [(f"args/{index}", text) for index, text in enumerate(command.args or ())]
    for name, text in texts:
        if text is not None:
            yield from _argument_problems(text, f"{path}/{name}")
    if command.cwd is not None and not command.cwd.startswith("/"):
        yield Problem(f"{path}/cwd", "must be an absolute path")
    for name, value in (command.env or {}).items():
        where = f"{path}/env/{escape_pointer(name)}"
        if not name or "=" in name or "\0" in name:
            yield Problem(where, "is not a name of an environment variable")
        yield from _argument_problems(f"{name}={value}", where)
    if command.expect is not None:
        yield from _expect_problems(command.expect, EXIT_RANGE, f"{path}/expect")


def _argument_problems(text: str, path: str) -> Iterator[Problem]:
    if "\0" in text:
        yield Problem(path, "must not contain NUL characters: no program can receive them")
    if len(text) * 4 > ARGUMENT_LIMIT and len(text.encode()) > ARGUMENT_LIMIT:
        yield Problem(path, f"is longer than {ARGUMENT_LIMIT} bytes, which Linux can't pass on; send it in stdin")


def _expect_problems(expect: str | int, allowed: range, path: str) -> Iterator[Problem]:
    try:
        expected_codes(expect, allowed)
    except ValueError as error:
        yield Problem(path, str(error))


def escape_pointer(name: str) -> str:
    """A member's name as part of a JSON pointer (RFC 6901 section 3)."""
    return name.replace("~", "~0").replace("/", "~1")
