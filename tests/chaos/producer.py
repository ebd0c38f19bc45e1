"""Adds jobs without end, as a process of its own: a line before each attempt to add, and one for its answer.

`python -m tests.chaos.producer LOG TARGET_PORT CALLBACK_PORT RATE SERVER_PORT…`; ends when its stdin is closed. RATE is
in jobs a second, 0 for as many as the servers take. Of its threads every other one sends an idempotency key and tries
again until it knows what became of its job; the rest leaves it at that.
"""

import http.client
import itertools
import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from typing import NamedTuple

THREADS = 4
PAUSE_S = 0.02
"""After an answer that is not 200: the server is down or stopping."""

UNAVAILABLE = 503
"""The server can't say whether the job was stored: the answer of its database may be what was lost."""

_numbers = itertools.count(1)
_stop = threading.Event()


class Work(NamedTuple):
    log: int
    target: int
    callback: int
    servers: list[int]


def add_jobs(work: Work, rate: float, place: int) -> None:
    """One thread: each failure takes it to the next server."""
    servers = itertools.cycle(work.servers[place % len(work.servers) :] + work.servers[: place % len(work.servers)])
    connection = _connect(next(servers))
    for number in _paced(rate / THREADS):
        key = {"Idempotency-Key": f"number {number}"} if place % 2 else {}
        while (answer := add(work, connection, number, key)) != "accepted":
            connection.close()
            connection = _connect(next(servers))
            if _stop.wait(PAUSE_S) or not key or answer == "refused":
                break


def add(work: Work, connection: http.client.HTTPConnection, number: int, key: dict[str, str]) -> str:
    """One attempt, and what is known of it then."""
    job = {
        "command": {"type": "http", "url": f"http://127.0.0.1:{work.target}/run?n={number}"},
        "callback_done": {"type": "http", "url": f"http://127.0.0.1:{work.callback}/done?n={number}", "method": "POST"},
    }
    write(work.log, n=number, what="sent")
    try:
        connection.request("POST", "/jobs/add", json.dumps(job), {"Content-Type": "application/json", **key})
        response = connection.getresponse()
        answer = json.loads(response.read())
    except ConnectionRefusedError:
        return write(work.log, n=number, what="unsent")
    except (OSError, http.client.HTTPException, ValueError):
        return write(work.log, n=number, what="unknown")
    if response.status == 200:
        return write(work.log, n=number, what="accepted", id=answer["job_id"])
    what = "unknown" if response.status == UNAVAILABLE else "refused"
    return write(work.log, n=number, what=what, status=response.status)


def write(log: int, *, what: str, **facts: object) -> str:
    os.write(log, json.dumps({**facts, "what": what, "at": time.monotonic()}).encode() + b"\n")
    return what


def _connect(port: int) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", port, timeout=20)


def _paced(rate: float) -> Iterator[int]:
    """Numbers of jobs, each at its time; what an outage has kept from being sent is not sent afterwards."""
    due = time.monotonic()
    while not _stop.wait(max(0.0, due - time.monotonic())):
        yield next(_numbers)
        due = max(due + 1 / rate, time.monotonic()) if rate else 0.0


def main() -> None:
    file, target, callback, rate, *servers = sys.argv[1:]
    log = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    work = Work(log, int(target), int(callback), [*map(int, servers)])
    threads = [threading.Thread(target=add_jobs, args=(work, float(rate), place)) for place in range(THREADS)]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    _stop.set()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
