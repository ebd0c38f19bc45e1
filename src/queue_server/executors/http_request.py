"""From an http command to the request that is sent: where to, headers and body."""

import base64
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast
from urllib.parse import quote_plus

import msgspec
from msgspec import UNSET

from queue_server.domain.command import QUERY_METHODS, HttpCommand
from queue_server.domain.job import Job, Report
from queue_server.executors.http_client.client import Message
from queue_server.executors.http_client.origin import resource_of
from queue_server.vault.signing import HEADERS as SIGNATURE_HEADERS

_UNSAFE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
BODY_METHODS = frozenset({"POST", "PUT", "PATCH"})


Sign = Callable[[int, bytes], str]
"""From a job's id and the body to the header lines that sign the request."""


def message_of(command: HttpCommand, job: Job, user_agent: str, sign: Sign | None = None) -> Message:
    """The request for one attempt of `job`; the command's placeholders are already filled, its secrets open.

    A job that sets one of the headers of a signature itself is sent as it is. ValueError for a bad url.
    """
    method, url = command.effective_method, command.url
    content_type, body = _body(command, method, job.plan.report)
    if command.params and method in QUERY_METHODS:
        url = with_query(url, form(command.params))
    resource = resource_of(url)
    head = (
        f"Host: {resource.origin.place}\r\nUser-Agent: {user_agent}\r\nAccept: */*\r\nAccept-Encoding: identity\r\n"
        f"{own_headers(job)}Idempotency-Key: {job.id}\r\n"
    )
    if content_type:
        head += f"Content-Type: {content_type}\r\n"
    if resource.credentials:
        head += f"Authorization: Basic {resource.credentials}\r\n"
    if sign is not None and not (command.headers and _is_signed(command.headers)):
        head += sign(job.id, body or b"")
    if command.headers:
        head = _with_given(head, cast("Mapping[str, str]", command.headers))
    length = "" if body is None else f"Content-Length: {len(body)}\r\n"
    text = f"{method} {resource.target} HTTP/1.1\r\n{head}{length}\r\n"
    return Message(method, resource, text.encode("utf-8", "replace") + (body or b""))


def own_headers(job: Job) -> str:
    """The lines that tell the target which job, attempt and claim this is; a callback's, what became of the job."""
    report = job.plan.report
    run = f"X-Queue-Attempt: {job.attempt}\r\nX-Queue-Claim: {job.claim_seq}\r\n"
    if report is None:
        return f"X-Queue-Job-Id: {job.id}\r\n{run}"
    exit_code = "" if report.exit_code is None else report.exit_code
    return (
        f"X-Queue-Job-Id: {report.job_id}\r\n{run}X-Queue-State: {report.state}\r\n"
        f"X-Queue-Exit-Code: {exit_code}\r\nX-Queue-Attempts: {report.attempts}\r\n"
    )


def _is_signed(headers: Mapping[str, object]) -> bool:
    return any(name.lower() in SIGNATURE_HEADERS for name in headers)


def _with_given(own: str, given: Mapping[str, str]) -> str:
    """The job's headers beside ours. It may name its own of all but X-Queue-*, which stay ours."""
    for name, value in given.items():
        if _UNSAFE.search(value):  # what a placeholder stands for is not known when the job is checked
            raise ValueError(f"the header {name} contains a line end or another control character")
    theirs = {name.lower(): (name, value) for name, value in given.items()}  # each once: two Hosts are an attack
    ours = [(name, value) for name, _, value in (line.partition(": ") for line in own.split("\r\n")[:-1])]
    kept = [(name, value) for name, value in ours if name.startswith("X-Queue-") or name.lower() not in theirs]
    fixed = {name.lower() for name, _ in kept}
    lines = kept + [line for name, line in theirs.items() if name not in fixed]
    return "".join([f"{name}: {value}\r\n" for name, value in lines])


def form(params: Mapping[str, Any]) -> str:
    """`params` as application/x-www-form-urlencoded, nested as PHP's http_build_query does it: a[0]=1&b[c]=2."""
    pairs: list[str] = []
    for name, value in params.items():
        if type(value) is str and value.isalnum() and value.isascii() and name.isalnum() and name.isascii():
            pairs.append(f"{name}={value}")  # needs no encoding
        else:
            pairs += [f"{quote_plus(key)}={quote_plus(text)}" for key, text in _flat({name: value})]
    return "&".join(pairs)


def with_query(url: str, query: str) -> str:
    """The url with `query` added to the query it has. A fragment is dropped: it is never sent."""
    url = url.partition("#")[0]
    return f"{url}{'&' if '?' in url else '?'}{query}" if query else url


def _flat(params: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in params.items():
        if value is None:
            continue
        if isinstance(value, bool):
            yield name, "1" if value else "0"
        elif isinstance(value, dict):
            nested = cast("dict[str, Any]", value)
            yield from _flat({f"{name}[{key}]": item for key, item in nested.items()})
        elif isinstance(value, list):
            members = cast("list[Any]", value)
            yield from _flat({f"{name}[{index}]": item for index, item in enumerate(members)})
        else:
            yield name, str(value)


def _body(command: HttpCommand, method: str, report: Report | None) -> tuple[str, bytes | None]:
    if command.json is not UNSET:
        return "application/json", bytes(command.json)
    if isinstance(command.body, str):
        return "text/plain; charset=utf-8", command.body.encode()
    if command.body_base64 is not None:
        return "application/octet-stream", base64.b64decode(command.body_base64)
    if command.params and method not in QUERY_METHODS:
        return "application/x-www-form-urlencoded", form(command.params).encode()
    if report is not None and method in BODY_METHODS:
        return "application/json", report_body(report)
    return "", b"" if method in BODY_METHODS else None


def report_body(report: Report) -> bytes:
    """The JSON that a callback carries when it has no body of its own."""
    return msgspec.json.encode(
        {
            "job_id": report.job_id,
            "state": report.state,
            "exit_code": report.exit_code,
            "attempts": report.attempts,
            "context": report.context,
            "error": report.error,
            "output": report.output,
        }
    )
