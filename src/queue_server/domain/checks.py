"""Rules of a job that its types can't express. Each check returns every problem it finds.

The hot path runs `problems_of` on each accepted job, so the common case is a few string searches.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET

from queue_server.domain.command import QUERY_METHODS, Command, ExecCommand, HttpCommand
from queue_server.domain.errors import Problem
from queue_server.domain.expect import EXIT_RANGE, HTTP_RANGE, expected_codes
from queue_server.domain.instants import parse_instant
from queue_server.domain.job import JobRequest
from queue_server.domain.retry import YEAR_S, RetryWish, codes_text
from queue_server.domain.secret import Secret, Text, is_meant_as_secret, secret_problem

ARGUMENT_LIMIT = 131_071
"""Bytes in one argument of a program: Linux refuses more (MAX_ARG_STRLEN, 32 pages less the closing NUL)."""

MAX_LEVELS = 100
"""Lists and objects in each other within `params`; deeper ones could not be walked when the job runs."""

MAX_CONTAINERS = 10_000
"""Lists and objects in all of `params`; a hundred thousand of them take longer to walk than others should wait."""

_PLAIN_URL = re.compile(r"\Ahttps?://[A-Za-z0-9._-]+(?::(?:[1-9]\d{0,3}|[1-5]\d{4}))?(?:[/?#][\x21-\x7e]*)?\Z")
TAG_VALUE_LIMIT = 255

_TAG_NAME = re.compile(r"\A[A-Za-z0-9._:-]{1,64}\Z")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_HEADER_NAME = re.compile(r"\A[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
HEADER_RULE = "must not contain line ends, NUL or other control characters"
_HEADER_UNSAFE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
LOADER_VARIABLE = (
    r"(?:LD_|DYLD_|PYTHON|PERL5|RUBY|BASH_FUNC_)[\s\S]*|PERL_[A-Z_]*|PERLLIB|NODE_OPTIONS|NODE_PATH|BASH_ENV|ENV|IFS|PS4|"
    r"SHELLOPTS|BASHOPTS|PHPRC|PHP_INI_SCAN_DIR|CLASSPATH|_?JAVA_(?:TOOL_)?OPTIONS|JDK_JAVA_OPTIONS|GCONV_PATH|"
    r"GLIBC_TUNABLES|GETCONF_DIR|HOSTALIASES|LOCALDOMAIN|LOCPATH|NLSPATH|RES_OPTIONS|RESOLV_HOST_CONF|QUEUE_RUN"
)
"""Variables that change which code other programs load, or what a shell or resolver makes of its input."""

_LOADER_VARIABLE = re.compile(LOADER_VARIABLE)

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
    if request.run_at is not None or request.expires_at is not None or request.deadline is not None:
        found += time_problems(_times(request))
    if request.retry is not None:
        found += retry_problems(request.retry, command_codes(request.command))
    if request.tags:
        found += tag_problems(request.tags)
    return found


def command_problems(command: Command, path: str) -> Iterator[Problem]:
    """All problems of one command."""
    if isinstance(command, HttpCommand):
        return _http_problems(command, path)
    return _exec_problems(command, path)


class Times(msgspec.Struct, frozen=True, kw_only=True):
    """The members of a job that say when it may run and when it must have."""

    delay: float | None = None
    run_at: str | None = None
    ttl: float | None = None
    expires_at: str | None = None
    deadline: float | str | None = None


def time_problems(times: Times) -> Iterator[Problem]:
    """Problems of the members that are times."""
    for path, instant, other, has_other in (
        ("/run_at", times.run_at, "delay", times.delay is not None),
        ("/expires_at", times.expires_at, "ttl", times.ttl is not None),
    ):
        if instant is not None:
            if has_other:
                yield Problem(path, f"give {other} or {path[1:]}, not both")
            yield from _instant_problems(instant, path)
    if isinstance(times.deadline, str):
        yield from _instant_problems(times.deadline, "/deadline")
    elif times.deadline is not None and not 0 <= times.deadline <= YEAR_S:
        yield Problem("/deadline", f"must be seconds from 0 to {YEAR_S} (a year), or a time")


def _times(request: JobRequest) -> Times:
    return Times(
        delay=request.delay,
        run_at=request.run_at,
        ttl=request.ttl,
        expires_at=request.expires_at,
        deadline=request.deadline,
    )


def _instant_problems(text: str, path: str) -> Iterator[Problem]:
    try:
        parse_instant(text)
    except (ValueError, OverflowError):
        yield Problem(path, "must be an RFC 3339 time with its offset, such as 2026-11-24T09:30:00Z")


def command_codes(command: Command) -> range:
    """The codes that a command can end with: statuses or exit codes."""
    return HTTP_RANGE if isinstance(command, HttpCommand) else EXIT_RANGE


def retry_problems(retry: RetryWish, codes: range) -> Iterator[Problem]:
    """Problems of a retry setting, for a command that can end with `codes`."""
    low, high = retry.min_delay, retry.max_delay
    if low is not UNSET and high is not UNSET and low > high:
        yield Problem("/retry/min_delay", "must not be greater than max_delay")
    if retry.retry_on is not None:
        yield from _expect_problems(codes_text(retry.retry_on), codes, "/retry/retry_on")


def tag_problems(tags: Mapping[str, str]) -> Iterator[Problem]:
    """Problems of a job's tags."""
    for name, value in tags.items():
        where = f"/tags/{escape_pointer(name)}"
        if not _TAG_NAME.match(name):
            yield Problem(where, "is not a tag's name: 1 to 64 of letters, digits and the characters . _ : -")
        if len(value) > TAG_VALUE_LIMIT or _CONTROL.search(value):
            yield Problem(where, f"must be a text of at most {TAG_VALUE_LIMIT} characters without control characters")


def _http_problems(command: HttpCommand, path: str) -> Iterator[Problem]:
    if not _PLAIN_URL.match(command.url) and (message := _url_problem(command.url)):
        yield Problem(f"{path}/url", message)
    if command.headers:
        yield from _header_problems(command.headers, f"{path}/headers")
    if command.params and (message := _nesting_problem(command.params)):
        yield Problem(f"{path}/params", message)
    elif command.params:
        yield from _members_problems(command.params.items(), f"{path}/params")
    if isinstance(command.body, Secret):
        yield from secret_problems(command.body, f"{path}/body")
    if command.expect is not None:
        yield from _expect_problems(command.expect, HTTP_RANGE, f"{path}/expect")
    if command.body_base64 is not None or _may_have_two_bodies(command):
        yield from _body_problems(command, path)


def _may_have_two_bodies(command: HttpCommand) -> bool:
    return bool(command.params) + (command.json is not UNSET) + (command.body is not None) > 1


def _nesting_problem(params: dict[str, Any]) -> str | None:
    """What is wrong with how lists and objects stand in each other."""
    for member in params.values():  # no generator: this runs for every job that has params
        if isinstance(member, (dict, list)):
            return _levels_problem(params)
    return None


def _levels_problem(params: dict[str, Any]) -> str | None:
    level: list[Any] = [params]
    count = 0
    for _ in range(MAX_LEVELS):
        members: list[Any] = []
        for outer in level:
            members += outer.values() if isinstance(outer, dict) else outer
        level = [member for member in members if isinstance(member, (dict, list))]
        count += len(level)
        if count > MAX_CONTAINERS:
            return f"must not have more than {MAX_CONTAINERS} lists and objects"
        if not level:
            return None
    return f"must not be nested deeper than {MAX_LEVELS} levels"


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


def secret_problems(secret: Secret, path: str) -> Iterator[Problem]:
    """Problems of one secret."""
    if problem := secret_problem(secret):
        yield Problem(path, problem)


def _members_problems(members: Iterable[tuple[Any, Any]], path: str) -> Iterator[Problem]:
    """Problems of the secrets in `params`, where any other object may stand as well."""
    for name, member in members:
        if is_meant_as_secret(member):
            yield from _param_problems(member, f"{path}/{escape_pointer(str(name))}")
        elif isinstance(member, dict):
            nested = cast("dict[str, Any]", member)
            yield from _members_problems(nested.items(), f"{path}/{escape_pointer(str(name))}")
        elif isinstance(member, list):
            items = cast("list[Any]", member)
            yield from _members_problems(enumerate(items), f"{path}/{escape_pointer(str(name))}")


def _param_problems(member: Any, path: str) -> Iterator[Problem]:
    try:
        yield from secret_problems(msgspec.convert(member, Secret), path)
    except msgspec.ValidationError:
        yield Problem(path, "is no secret: secret, secret_ref and prefix are texts")


def _header_problems(headers: dict[str, Text], path: str) -> Iterator[Problem]:
    for name, value in headers.items():
        where = f"{path}/{escape_pointer(name)}"
        if not _HEADER_NAME.match(name):
            yield Problem(where, "is not a header name (RFC 9110 section 5.1)")
        elif name.lower() in _OWN_HEADERS:
            yield Problem(where, "is set by the server and can't be given")
        text = value
        if not isinstance(text, str):
            yield from secret_problems(text, where)
            text = _written(text)
        if _HEADER_UNSAFE.search(text):
            yield Problem(where, HEADER_RULE)


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
    if (command.cmd is not None) + (command.args is not None) + (command.name is not None) != 1:
        yield Problem(path, "needs one of cmd (run by the shell), args (run without one) and name (of the settings)")
    if command.arguments is not None and command.name is None:
        yield Problem(f"{path}/arguments", "belongs to a command that is given by its name")
    texts = [("cmd", command.cmd), ("cwd", command.cwd)]
    texts += [(f"args/{index}", text) for index, text in enumerate(command.args or ())]
    texts += [
        (f"arguments/{escape_pointer(name)}", value)
        for name, value in (command.arguments or {}).items()
        if isinstance(value, str)
    ]
    for name, text in texts:
        if text is not None:
            yield from _argument_problems(text, f"{path}/{name}")
    if command.cwd is not None and not command.cwd.startswith("/"):
        yield Problem(f"{path}/cwd", "must be an absolute path")
    for name, value in (command.env or {}).items():
        where = f"{path}/env/{escape_pointer(name)}"
        if not name or "=" in name or "\0" in name:
            yield Problem(where, "is not a name of an environment variable")
        elif is_loader_variable(name):
            yield Problem(where, "can't be given: it would have programs load or run what their command does not say")
        if not isinstance(value, str):
            yield from secret_problems(value, where)
        yield from _argument_problems(f"{name}={value if isinstance(value, str) else _written(value)}", where)
    if isinstance(command.stdin, Secret):
        yield from secret_problems(command.stdin, f"{path}/stdin")
    if command.expect is not None:
        yield from _expect_problems(command.expect, EXIT_RANGE, f"{path}/expect")


def _written(secret: Secret) -> str:
    """As much of a secret's text as the job itself says."""
    return secret.prefix if secret.secret is None else secret.secret


def fits_header(text: str) -> bool:
    """Whether a header can carry the text."""
    return _HEADER_UNSAFE.search(text) is None


def fits_argument(text: str) -> bool:
    """Whether a program can be given the text as an argument or a variable."""
    return not any(_argument_problems(text, ""))


def is_loader_variable(name: str) -> bool:
    """Whether an environment variable of this name could make a program run something else."""
    return _LOADER_VARIABLE.fullmatch(name) is not None


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
