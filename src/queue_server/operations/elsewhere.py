"""Outputs of runs on other nodes, as they come: what a node hears that follows them, and what the others send.

Who follows says so in the database, under a number of its own; the node that runs the job sees it with its next look,
and sends what it has from the first byte on. Pieces may get lost on the way. Then nothing more is shown live, and what
is stored at the end tells the rest.
"""

import asyncio
import struct
from collections.abc import AsyncGenerator, Callable, Collection, Generator, Sequence
from contextlib import aclosing, contextmanager
from typing import NamedTuple

from queue_server.executors.contract import Executor
from queue_server.executors.live import LiveOutput, Stream, wake
from queue_server.executors.output import mark
from queue_server.store.relay import FOLLOWED_LIMIT, Followed, Follows, Relay

HEAD = struct.Struct("!QBQQ")
"""The number of who follows, the stream, the offsets of the piece's first byte and of the next piece's."""

STREAMS = tuple(Stream)
KEPT_BYTES = 4 * 1024 * 1024
"""Of a stream that is heard: what somebody who begins to follow later can still be shown."""

PAUSE_S = 0.05
"""Between two pieces of a stream, each of up to 64 KiB: what a database has to carry is bounded."""


class Heard:
    """One stream of a run elsewhere, as far as it has been heard. `end` is the offset of the next byte.

    `more` is set for a moment when something has come. `has_told` is whether the other node has begun to send, and
    `is_broken` whether a piece got lost: then no more are taken.
    """

    def __init__(self) -> None:
        self._pieces: list[tuple[int, bytes]] = []
        self._dropped = 0
        self._bytes = 0
        self.end = 0
        self.begin = b""
        self.more = asyncio.Event()
        self.has_told = False
        self.is_broken = False

    def take(self, offset: int, end: int, piece: bytes) -> None:
        """A piece has come. One that is empty only tells that the other node sends."""
        self.has_told = True
        if offset > self.end:
            self.is_broken = True
        elif offset == self.end and piece and not self.is_broken:
            self._keep(end, piece)
        wake(self.more)

    def read(self, place: int) -> tuple[bytes, int]:
        """What has come since `place`, at first 0, and the next place. A mark stands for what is not kept any more."""
        last = self._dropped + len(self._pieces)
        if place >= self._dropped:
            return b"".join(piece for _, piece in self._pieces[place - self._dropped :]), last
        kept_from = self._pieces[0][0] - len(self._pieces[0][1])
        return mark(kept_from) + b"".join(piece for _, piece in self._pieces), last

    def _keep(self, end: int, piece: bytes) -> None:
        self.begin = self.begin or piece
        self.end = end
        self._pieces.append((end, piece))
        self._bytes += len(piece)
        while self._bytes > KEPT_BYTES:
            self._bytes -= len(self._pieces[0][1])
            del self._pieces[0]
            self._dropped += 1


class Seen(NamedTuple):
    """What somebody has been shown of a stream: how it begins, and the offset of the next byte."""

    begin: bytes
    end: int


class Follower:
    """A run elsewhere that is followed here, by `users`."""

    def __init__(self, followed: Followed) -> None:
        self.followed = followed
        self.streams = {stream: Heard() for stream in STREAMS}
        self.users = 0


class Elsewhere:
    """The runs of other nodes that are followed here. `number` makes a number that nobody else uses."""

    def __init__(self, relay: Relay, follow: Callable[[Collection[Followed]], None], number: Callable[[], int]) -> None:
        self._relay = relay
        self._follow = follow
        self._number = number
        self._followers: dict[tuple[int, int], Follower] = {}
        relay.on_relayed(self._heard)

    @contextmanager
    def following(self, job_id: int, claim_seq: int) -> Generator[Follower | None]:
        """Follow a run; None if too many are followed already."""
        run = (job_id, claim_seq)
        follower = self._followers.get(run)
        if follower is None:
            if len(self._followers) >= FOLLOWED_LIMIT:
                yield None
                return
            follower = self._followers[run] = Follower(Followed(job_id, claim_seq, self._number()))
            self._say()
        follower.users += 1
        try:
            yield follower
        finally:
            follower.users -= 1
            if not follower.users:
                del self._followers[run]
                self._say()

    def _say(self) -> None:
        self._follow([follower.followed for follower in self._followers.values()])
        self._relay.want_relayed(bool(self._followers))

    def _heard(self, message: bytes) -> None:
        number, stream, offset, end = HEAD.unpack_from(message)
        for follower in self._followers.values():
            if follower.followed.number == number:
                follower.streams[STREAMS[stream]].take(offset, end, message[HEAD.size :])


class Sender:
    """Sends the outputs of runs on this node to those that follow them on others."""

    def __init__(self, relay: Relay, follows: Follows, executors: Collection[Executor]) -> None:
        self._relay = relay
        self._executors = executors
        self._tasks: dict[Followed, asyncio.Task[None]] = {}
        follows.on_followed(self._followed)

    def close(self) -> None:
        """Send no more."""
        self._followed(())

    def _followed(self, wanted: Sequence[Followed]) -> None:
        for gone in self._tasks.keys() - set(wanted):
            self._tasks.pop(gone).cancel()
        for followed in wanted:
            if followed not in self._tasks and (live := self._live(followed)):
                self._tasks[followed] = asyncio.create_task(self._send(followed.number, live))

    def _live(self, followed: Followed) -> LiveOutput | None:
        found = (executor.live(followed.job_id, followed.claim_seq) for executor in self._executors)
        return next((live for live in found if live), None)

    async def _send(self, number: int, live: LiveOutput) -> None:
        async with asyncio.TaskGroup() as streams:
            for place, stream in enumerate(STREAMS):
                streams.create_task(self._send_stream(number, place, live.follow_with_offsets(stream)))

    async def _send_stream(self, number: int, place: int, pieces: AsyncGenerator[tuple[bytes, int]]) -> None:
        offset = 0
        self._relay.relay(HEAD.pack(number, place, 0, 0))
        async with aclosing(pieces):
            async for piece, end in pieces:
                self._relay.relay(HEAD.pack(number, place, offset, end) + piece)
                offset = end
                await asyncio.sleep(PAUSE_S)


def rest_of(text: bytes, size: int, heard: Seen) -> bytes:
    """What of a stored stream has not been shown: `size` bytes it had, `text` is what is kept of them.

    All of it where it is not what was heard: a target has reported another output than its request had.
    """
    if not heard.end:
        return text
    kept, dropped = _kept(text, size)
    head, tail = (kept + 1) // 2 if dropped else kept, kept // 2 if dropped else 0
    if not text.startswith(heard.begin[:head]) or heard.end > size:
        return text
    if heard.end <= head:
        return text[heard.end :]
    behind = size - heard.end
    return text[len(text) - behind :] if behind <= tail else mark(behind - tail) + text[len(text) - tail :]


def _kept(text: bytes, size: int) -> tuple[int, int]:
    """How many bytes of an output are kept, and how many were dropped: `text` has a mark then."""
    if size == len(text):  # nothing was, or as many as their mark has: it makes no difference to the offsets
        return size, 0
    for digits in range(1, 20):
        length = len(mark(10 ** (digits - 1)))
        dropped = size - (len(text) - length)
        kept = len(text) - length
        if dropped > 0 and len(str(dropped)) == digits and text.startswith(mark(dropped), (kept + 1) // 2):
            return kept, dropped
    return len(text), 0
