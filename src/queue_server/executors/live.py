"""What runs have told so far: found by their job while they run, and followed by whoever wants to hear more.

A run without followers pays for a dictionary entry. Followers read what the run keeps anyway, each at its own place.
So a slow one costs no memory and never holds up the run: what it was too slow for is dropped, and a mark says so.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from enum import StrEnum

from queue_server.domain.outcome import Output

FOLLOWED_BYTES = 4 * 1024 * 1024
"""At least so many of a stream's last bytes are kept while somebody follows: more than can arrive between two of a
follower's turns (the kernel's receive buffers hold up to that much)."""

PIECE_BYTES = 64 * 1024
"""A follower gets at most so many at once."""


class Stream(StrEnum):
    """The parts of an output: stdout or the response's body, stderr, the response's status line and headers."""

    OUTPUT = "output"
    STDERR = "stderr"
    HEAD = "head"


class LiveOutput:
    """What one run has told so far. Executors inherit from it where they collect that.

    The event `more` is set for a moment whenever more has come; it is None while nobody follows.
    """

    __slots__ = ("_followers", "claim_seq", "has_ended", "more")

    def __init__(self) -> None:
        self._followers = 0
        self.claim_seq = 0
        self.has_ended = False
        self.more: asyncio.Event | None = None

    def snapshot(self) -> Output:
        """All that is kept by now."""
        raise NotImplementedError

    def read(self, stream: Stream, offset: int) -> tuple[bytes, int]:
        """Up to PIECE_BYTES of a stream from this byte on, or the mark of dropped ones, and where to go on.

        Offsets count the bytes that were received. Nothing where nothing has come yet.
        """
        raise NotImplementedError

    def watch(self, more: asyncio.Event | None) -> None:
        """Somebody follows: `wake` the event whenever more has come, and keep FOLLOWED_BYTES. None: not any more."""
        raise NotImplementedError

    async def follow(self, stream: Stream, offset: int = 0) -> AsyncGenerator[bytes]:
        """A stream from this byte on, as it comes, until the run has ended.

        Who keeps up gets every byte exactly once, however many they are. Close the generator to stop following.
        """
        async with aclosing(self.follow_with_offsets(stream, offset)) as pieces:
            async for piece, _ in pieces:
                yield piece

    async def follow_with_offsets(self, stream: Stream, offset: int = 0) -> AsyncGenerator[tuple[bytes, int]]:
        """See follow; with each piece comes the offset of the next one."""
        more = self._join()
        try:
            while True:
                piece, offset = self.read(stream, offset)
                if piece:
                    yield piece, offset
                elif self.has_ended:
                    return
                else:
                    await more.wait()
        finally:
            self._leave()

    def _join(self) -> asyncio.Event:
        if self.more is None:
            self.more = asyncio.Event()
            self.watch(self.more)
        self._followers += 1
        return self.more

    def _leave(self) -> None:
        self._followers -= 1
        if not self._followers:
            self.more = None
            self.watch(None)


class LiveOutputs:
    """The runs of one executor by job. A job's later run takes the place of an earlier one that is still ending."""

    def __init__(self) -> None:
        self._by_job: dict[int, LiveOutput] = {}

    def find(self, job_id: int, claim_seq: int | None = None) -> LiveOutput | None:
        """What the job's run has told so far; None if it does not run here, or not by this claim."""
        found = self._by_job.get(job_id)
        return found if found is not None and claim_seq in (None, found.claim_seq) else None

    def add(self, job_id: int, claim_seq: int, output: LiveOutput) -> None:
        """A run begins."""
        output.claim_seq = claim_seq
        self._by_job[job_id] = output

    def end(self, job_id: int, output: LiveOutput) -> None:
        """A run has ended, and all that it told is in `output`."""
        found = self._by_job.pop(job_id, None)
        if found is not output and found is not None:
            self._by_job[job_id] = found
        output.has_ended = True
        if output.more is not None:
            wake(output.more)


def wake(event: asyncio.Event) -> None:
    """Wake all who wait for the event now."""
    event.set()
    event.clear()
