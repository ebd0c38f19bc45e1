"""Our load generator: posts one body over and over on some keep-alive connections, as cheaply as Python can.

Ends after a number of requests or of seconds, whichever comes first, and hands in the work done. Any answer
but 200 ends it with an error: a benchmark of refusals would be a lie.
"""

import argparse
import asyncio
import sys
import time
from typing import cast

import uvloop

from tests.performance.wire import message_length, request, succeeded
from tests.performance.work import Work, hand_in


class Run:
    """What the connections share: how many requests are still to be sent, and how many were answered."""

    def __init__(self, requests: int) -> None:
        self.unsent = requests
        self.unanswered = requests
        self.answered = 0
        self.failure = ""
        self.ended = asyncio.Event()

    def take(self) -> bool:
        """May another request be sent?"""
        self.unsent -= 1
        return self.unsent >= 0

    def answer(self) -> None:
        self.answered += 1
        if self.answered == self.unanswered:
            self.ended.set()

    def fail(self, sentence: str) -> None:
        self.failure = self.failure or sentence
        self.ended.set()


class Connection(asyncio.Protocol):
    """One client: sends the next request when the last one was answered."""

    transport: asyncio.Transport  # from connection_made on

    def __init__(self, run: Run, message: bytes) -> None:
        self.run = run
        self.message = message
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        buffer = self.buffer + data if self.buffer else data
        length = message_length(buffer)
        if not length or len(buffer) < length:
            self.buffer = buffer
            return
        self.buffer = b""
        if succeeded(buffer):
            self.run.answer()
            self.send()
        else:
            self.run.fail(f"answered with {buffer[:500]!r}")

    def send(self) -> None:
        if not self.run.ended.is_set() and self.run.take():
            self.transport.write(self.message)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.run.ended.is_set():
            self.run.fail(f"connection lost: {exc}")


async def generate(options: argparse.Namespace) -> Work:
    loop, run = asyncio.get_running_loop(), Run(options.requests)
    message = request("POST", options.path, options.port, sys.stdin.buffer.read(), options.token)
    connections = [
        (await loop.create_connection(lambda: Connection(run, message), "127.0.0.1", options.port))[1]
        for _ in range(options.connections)
    ]
    begin = time.monotonic()
    for connection in connections:
        connection.send()
    try:
        await asyncio.wait_for(run.ended.wait(), options.seconds)
    except TimeoutError:
        run.ended.set()
    work = Work(amount=run.answered, seconds=time.monotonic() - begin)
    if run.failure:
        sys.exit(f"the load generator stopped after {work.amount} requests: {run.failure}")
    return work


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--path", default="/jobs/add")
    parser.add_argument("--token", default="")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--requests", type=int, default=1_000_000_000)
    parser.add_argument("--seconds", type=float, default=600.0)
    hand_in(uvloop.run(generate(parser.parse_args())))


if __name__ == "__main__":
    main()
