"""Batches of jobs for `POST /v1/jobs/batch`, and what is looked at after one was sent."""

import json
from collections.abc import Iterable

from tests.support.raw import Answer
from tests.support.server import Server

PATH = "/v1/jobs/batch"


def job(number: int = 0, **members: object) -> dict[str, object]:
    return {"delay": 3600, "command": {"type": "http", "url": f"http://127.0.0.1:9/{number}"}} | members


def array(jobs: Iterable[object]) -> bytes:
    return json.dumps([*jobs]).encode()


def lines(jobs: Iterable[object]) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in jobs)


def send(server: Server, body: bytes, key: str | None = None, **headers: str) -> Answer:
    return server.call("POST", PATH, body, headers if key is None else headers | {"Idempotency-Key": key})


def head(length: int | str, more: str = "") -> bytes:
    return f"POST {PATH} HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n{more}\r\n".encode()


def waiting(server: Server) -> int:
    return server.get("/jobs/status")["data"]["waiting"]


def assert_is_refused(answer: Answer, status: int, *pointers: str) -> None:
    assert answer.status == status, (answer.status, answer.body[:500])
    assert answer.type == "application/problem+json"
    assert answer.json["status"] == status
    assert answer.json["detail"]
    if pointers:
        assert [error["pointer"] for error in answer.json["errors"]] == [*pointers]
