"""The target of all http jobs: answers any complete request at once, counts it, and can hold answers back.

Every path is a lane of its own. A lane that holds keeps its requests unanswered, and with them the server's
job slots: that is how the benchmark stops the server from running jobs while it accepts them, and starts it
again at a known moment.

Steered with one JSON command a line on stdin; each is answered with one line on stdout. Ends when stdin ends.
The times are CLOCK_MONOTONIC in nanoseconds, which all processes of a machine share.
"""

import asyncio
import sys
import time
from collections import deque
from contextlib import suppress
from typing import cast

import msgspec
import uvloop

from tests.performance.wire import message_length

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"


class Hold(msgspec.Struct, frozen=True, tag="hold"):
    """Leave requests of this lane unanswered from now on."""

    lane: str


class Release(msgspec.Struct, frozen=True, tag="release"):
    """Answer at most `count` of the requests that are held now, the oldest first; later ones are held."""

    lane: str
    count: int


class Pass(msgspec.Struct, frozen=True, tag="pass"):
    """Answer the requests that are held now and all later ones at once."""

    lane: str


class Await(msgspec.Struct, frozen=True, tag="await"):
    """Answer this command when the lane has had this many requests, or after the time limit."""

    lane: str
    arrivals: int
    timeout_s: float


class Read(msgspec.Struct, frozen=True, tag="read"):
    """Only report."""

    lane: str


Command = Hold | Release | Pass | Await | Read


class Report(msgspec.Struct, frozen=True):
    """The answer to every command: the lane as it is now, and how many requests all lanes have had."""

    arrivals: int
    held: int
    last_arrival_ns: int
    all_arrivals: int
    now_ns: int


class Lane:
    """What has arrived at one path."""

    def __init__(self) -> None:
        self.arrivals = 0
        self.last_arrival_ns = 0
        self.holds = False
        self.held: deque[asyncio.Transport] = deque()
        self.awaited = 0
        self.reached = asyncio.Event()

    def arrive(self, transport: asyncio.Transport) -> None:
        self.arrivals += 1
        self.last_arrival_ns = time.monotonic_ns()
        if self.holds:
            self.held.append(transport)
        else:
            transport.write(ANSWER)
        if self.arrivals == self.awaited:
            self.reached.set()

    def release(self, count: int) -> None:
        for _ in range(min(count, len(self.held))):
            self.held.popleft().write(ANSWER)

    async def wait(self, arrivals: int, timeout_s: float) -> None:
        if self.arrivals >= arrivals:
            return
        self.awaited = arrivals
        self.reached.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self.reached.wait(), timeout_s)


class Lanes(dict[bytes, Lane]):
    """The lanes by path; a lane exists from the first time it is named."""

    def __missing__(self, path: bytes) -> Lane:
        self[path] = lane = Lane()
        return lane


class Connection(asyncio.Protocol):
    """One connection of the server under test."""

    transport: asyncio.Transport  # from connection_made on

    def __init__(self, lanes: Lanes) -> None:
        self.lanes = lanes
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        buffer = self.buffer + data if self.buffer else data
        while (length := message_length(buffer)) and len(buffer) >= length:
            self.lanes[buffer[: buffer.index(b"\r")].split(b" ", 2)[1]].arrive(self.transport)
            buffer = buffer[length:]
        self.buffer = buffer


async def obey(lanes: Lanes, command: Command) -> Report:
    lane = lanes[command.lane.encode()]
    match command:
        case Hold():
            lane.holds = True
        case Release(count=count):
            lane.release(count)
        case Pass():
            lane.holds = False
            lane.release(len(lane.held))
        case Await(arrivals=arrivals, timeout_s=timeout_s):
            await lane.wait(arrivals, timeout_s)
        case Read():
            pass
    return Report(
        arrivals=lane.arrivals,
        held=len(lane.held),
        last_arrival_ns=lane.last_arrival_ns,
        all_arrivals=sum(each.arrivals for each in lanes.values()),
        now_ns=time.monotonic_ns(),
    )


async def serve(port: int) -> None:
    loop, lanes, commands = asyncio.get_running_loop(), Lanes(), asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    await loop.create_server(lambda: Connection(lanes), "127.0.0.1", port, backlog=4096)
    decode = msgspec.json.Decoder(Command).decode
    async for line in commands:
        report = await obey(lanes, decode(line))
        sys.stdout.buffer.write(msgspec.json.encode(report) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
