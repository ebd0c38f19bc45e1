"""Clients that listen: some read an event stream for ever, some wait for the end of a job again and again.

They read as cheaply as Python can, and come back a second after they were cut off, as the stream tells them to. Says
`ready` in a line of its own when all have been answered or are waiting; ends with stdin, and hands in what was heard.
"""

import argparse
import asyncio
import sys
from typing import cast

import msgspec
import uvloop

from tests.performance.wire import request

COME_BACK_S = 1.0
BUFFER = 1 << 18


class Heard(msgspec.Struct):
    """What all of them have heard so far."""

    bytes: int = 0
    events: int = 0
    resets: int = 0
    cuts: int = 0
    answers: int = 0


class Listener(asyncio.BufferedProtocol):
    """One client. Its request is sent again after each answer, if there is an end of one."""

    transport: asyncio.Transport  # from connection_made on

    def __init__(self, crowd: "Crowd", message: bytes, *, is_stream: bool) -> None:
        self.crowd = crowd
        self.message = message
        self.is_stream = is_stream
        self.is_known = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.write(self.message)
        if not self.is_stream:
            self.crowd.arrive(self)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002
        return self.crowd.buffer

    def buffer_updated(self, nbytes: int) -> None:
        heard = self.crowd.heard
        heard.bytes += nbytes
        if not self.is_stream:
            heard.answers += 1
            self.transport.write(self.message)
            return
        self.crowd.arrive(self)
        piece = bytes(self.crowd.buffer[:nbytes])
        heard.events += piece.count(b"\ndata: ")
        heard.resets += piece.count(b"\nevent: reset")

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        if not self.crowd.ended.is_set():
            self.crowd.heard.cuts += 1
            asyncio.get_running_loop().call_later(COME_BACK_S, self.crowd.admit, self)


class Crowd:
    """All clients, and what they share."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.heard = Heard()
        self.buffer = memoryview(bytearray(BUFFER))
        self.missing = options.readers + options.waiters
        self.ready = asyncio.Event()
        self.ended = asyncio.Event()
        self.coming: set[asyncio.Task[object]] = set()

    def admit(self, listener: Listener) -> None:
        loop = asyncio.get_running_loop()
        task = loop.create_task(loop.create_connection(lambda: listener, "127.0.0.1", self.options.port))
        self.coming.add(task)
        task.add_done_callback(self.coming.discard)

    def arrive(self, listener: Listener) -> None:
        if not listener.is_known:
            listener.is_known = True
            self.missing -= 1
            if not self.missing:
                self.ready.set()

    async def listen(self) -> Heard:
        port, job_id = self.options.port, self.options.job
        stream = request("GET", self.options.stream, port)
        wait = request("GET", f"/v1/jobs/{job_id}?wait=60", port)
        for number in range(self.missing):
            is_stream = number < self.options.readers
            self.admit(Listener(self, stream if is_stream else wait, is_stream=is_stream))
            if number % 50 == 0:
                await asyncio.sleep(0.01)
        await self.ready.wait()
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
        self.ended.set()
        return self.heard


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--stream", default="/v1/events")
    parser.add_argument("--readers", type=int, default=0)
    parser.add_argument("--waiters", type=int, default=0)
    parser.add_argument("--job", type=int, default=0)
    heard = uvloop.run(Crowd(parser.parse_args()).listen())
    sys.stdout.buffer.write(msgspec.json.encode(heard) + b"\n")


if __name__ == "__main__":
    main()
