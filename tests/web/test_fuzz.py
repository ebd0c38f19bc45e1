"""Random requests, good and broken in every part: never an answer of 5xx but a deliberate 503.

A failing run prints its seed; FUZZ_SEED replays it.
"""

import contextlib
import json
import os
import random
import re
import socket
from collections import Counter

import pytest

from tests.support.raw import connect
from tests.support.server import Server

METHODS = [
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "PATCH",
    "DELETE",
    "OPTIONS",
    "TRACE",
    "CONNECT",
    "PRI",
    "get",
    "",
    "GE T",
    "\0",
]
PATHS = [
    "/",
    "/jobs/add",
    "/jobs/status",
    "/jobs/status/1",
    "/jobs/get/1",
    "/v1/jobs",
    "/v1/jobs/batch",
    "/v1/jobs/1",
    "/v1/jobs/1/output",
    "/v1/jobs/1/attempts",
    "/v1/jobs/1/cancel",
    "/v1/jobs/1/retry",
    "/v1/jobs/1/explain",
    "/v1/jobs/1/complete",
    "/v1/jobs/1/heartbeat",
    "/v1/jobs:cancel",
    "/v1/jobs:retry",
    "/v1/jobs:delete",
    "/v1/operations",
    "/v1/operations/1",
    "/v1/stats",
    "/v1/tokens",
    "/v1/tokens/1",
    "/v1/secrets",
    "/v1/audit",
    "/healthz",
    "/readyz",
    "/openapi.json",
    "/docs",
    "*",
    "http://h/",
    "//",
    "/%",
    "/%00",
    "/é",
]
QUERIES = [
    "",
    "?",
    "?limit=1",
    "?limit=x",
    "?state=failed",
    "?context=a",
    "?tag.a=1",
    "?cursor=zz",
    "?wait=0",
    "?a&a",
    "?%00",
]
HEADERS = [
    "Host: h",
    "Host: h",
    "Host: evil/",
    "Host:",
    "Content-Type: application/json",
    "Content-Type: application/x-ndjson",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: gzip",
    "Content-Length: 5",
    "Content-Length: -1",
    "Expect: 100-continue",
    "Connection: close",
    "Connection: upgrade",
    "Upgrade: h2c",
    "Idempotency-Key: a",
    "Idempotency-Key: \x01",
    "Range: bytes=0-",
    "Range: bytes=z",
    "If-None-Match: *",
    "Accept-Encoding: gzip",
    "Authorization: Basic eDp5",
    "Authorization: Bearer x",
    "X-Queue-Claim: 1",
    "X-Queue-Claim: x",
    "Last-Event-ID: x",
    "Cookie: a=b",
    "X: " + "y" * 500,
    "Bad Header: x",
    ": x",
    " folded",
    "X: \0",
    "Origin: http://evil",
    "Sec-Fetch-Site: cross-site",
]
VALUES = [
    None,
    True,
    0,
    -1,
    1e308,
    10**30,
    "",
    "x",
    "\0",
    "\ud800",
    "é" * 50,
    [],
    {},
    [[]],
    {"a": {}},
    "http://127.0.0.1:9/",
    "http",
    "2026-11-24T09:30:00Z",
    "GET",
    200,
    500,
]
NAMES = [
    "command",
    "type",
    "url",
    "method",
    "headers",
    "params",
    "json",
    "body",
    "body_base64",
    "timeout",
    "expect",
    "priority",
    "context",
    "delay",
    "run_at",
    "retry",
    "callback_done",
    "idempotency_key",
    "tags",
    "queue",
    "key",
    "filter",
    "state",
    "ids",
    "reason",
    "changes",
    "dry_run",
    "max_attempts",
    "exit_code",
    "output",
    "name",
    "scopes",
    "value",
]


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("count", [2000, pytest.param(100_000, marks=pytest.mark.long)])
def test_no_random_request_is_answered_with_5xx(server: Server, count: int) -> None:
    seed = int(os.environ.get("FUZZ_SEED", "0")) or random.SystemRandom().getrandbits(32)
    print(f"FUZZ_SEED={seed}")
    chance, statuses = random.Random(seed), Counter[int]()
    for number in range(count):
        data = request(chance)
        answered = exchange(server.port, data)
        found = [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", answered)]
        statuses.update(found)
        assert not [status for status in found if status >= 500], (seed, number, data, answered[:1000])
    print(dict(statuses))
    assert {200, 400, 404, 405} <= set(statuses), "it reaches more than the first check"
    assert server.call("GET", "/readyz").status == 200
    assert "Traceback" not in server.log


def request(chance: random.Random) -> bytes:
    """One request, mostly well-formed, in which anything can be wrong."""
    body = payload(chance)
    lines = [f"{chance.choice(METHODS[:8] * 3 + METHODS)} {chance.choice(PATHS)}{chance.choice(QUERIES)} HTTP/1.1"]
    lines += ["Host: h"] if chance.random() < 0.9 else []
    lines += chance.choices(HEADERS, k=chance.choice([0, 0, 1, 2, 5]))
    lines += [f"Content-Length: {len(body)}"] if chance.random() < 0.85 else []
    data = bytearray("\r\n".join(lines).encode("utf-8", "surrogatepass") + b"\r\n\r\n" + body)
    for _ in range(chance.choice([0, 0, 0, 0, 1, 3])):
        place = chance.randrange(len(data))
        data[place : place + chance.randrange(3)] = chance.randbytes(chance.randrange(3))
    return bytes(data)


def payload(chance: random.Random) -> bytes:
    match chance.randrange(8):
        case 0:
            return b""
        case 1:
            return chance.randbytes(chance.randrange(200))
        case 2:
            return b"[" * chance.randrange(3000)
        case 3:
            return b"\n".join(json.dumps(value(chance, 3)).encode() for _ in range(chance.randrange(5)))
        case _:
            return json.dumps(job(chance)).encode()


def job(chance: random.Random) -> object:
    """Something near a job, that must not run."""
    command = {"type": "http", "url": "http://127.0.0.1:9/"} | members(chance, 2)
    return {"delay": 86_400, "command": command} | members(chance, 2)


def members(chance: random.Random, depth: int) -> dict[str, object]:
    return {chance.choice(NAMES): value(chance, depth) for _ in range(chance.choice([0, 0, 1, 2]))}


def value(chance: random.Random, depth: int) -> object:
    if depth and chance.random() < 0.3:
        return members(chance, depth - 1) if chance.random() < 0.5 else [value(chance, depth - 1)]
    return chance.choice(VALUES)


def exchange(port: int, data: bytes) -> bytes:
    """Send it, close our half, and read all that comes."""
    answered = b""
    with connect(port) as channel, contextlib.suppress(ConnectionError):
        channel.sendall(data)
        channel.shutdown(socket.SHUT_WR)
        while piece := channel.recv(65536):
            answered += piece
    return answered
