"""The output of an attempt: stored once the attempt has ended, as far as it has come while it runs, or followed.

While a job's end is on its way to the store its output is neither there nor live any more; readers wait a moment.
"""

import asyncio
from collections.abc import AsyncGenerator, Collection, Iterator
from contextlib import aclosing

import msgspec

from queue_server.domain.access import Access, Right
from queue_server.domain.errors import NotAllowed, StoreError
from queue_server.domain.job import JobRecord
from queue_server.domain.outcome import NO_OUTPUT, Output
from queue_server.domain.state import FINAL_STATES, State
from queue_server.executors.contract import Executor
from queue_server.executors.live import LiveOutput, Stream
from queue_server.operations.elsewhere import Elsewhere, Heard, Seen, rest_of
from queue_server.operations.look import ID_LIMIT
from queue_server.store.contract import Store

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.01, 0.25
"""How soon a job is looked at again whose output is to come."""

HERE_LOOKS = 3
"""How often to look for a run here, which may be about to begin, before it is looked for on other nodes."""

TOLD_PAUSES = 10
"""How many of the longest pauses another node may take to tell what it has."""

FIRST_PIECES_S = 0.3
"""So much later what another node had when it was asked has come, as a rule."""

LOOKS = 7
"""How often to look for an output that is neither live nor stored: for about half a second."""


class Excerpt(msgspec.Struct, frozen=True):
    """A stream of an attempt as far as it is kept. `received` counts its bytes in full.

    `version` names what it is once it can't change any more; None while it can.
    """

    body: bytes
    received: int
    version: str | None = None


class Missing(msgspec.Struct, frozen=True):
    """There is no such output, and why."""

    why: str


class ReadOutput:
    """Reads outputs, also while the runs go on: of this process at once, of other nodes about a second later."""

    def __init__(self, store: Store, executors: Collection[Executor], elsewhere: Elsewhere) -> None:
        self._store = store
        self._elsewhere = elsewhere
        self._executors = executors
        self._stopping = asyncio.Event()
        self._closed = asyncio.Event()

    async def read(self, job_id: int, access: Access, stream: Stream, number: int | None = None) -> Excerpt | Missing:
        """The output of an attempt, without a number of the last one; as far as it has come if it runs.

        Empty where there is none yet. NotAllowed without the right to read outputs.
        """
        _check_right(access)
        pauses = _pauses()
        for looks in range(LOOKS):
            record = await self._record(job_id, access)
            if record is None:
                return Missing(f"There is no job {job_id}")
            if record.state is not State.RUNNING or number not in (None, record.attempt):
                return await self._stored(record, stream, number)
            if live := self._live(record):
                return _excerpt(live.snapshot(), stream, None)
            if record.is_continued:
                return Excerpt(b"", 0)
            if looks >= HERE_LOOKS and self._store.is_shared:
                excerpt = await self._heard_so_far(record, access, stream)
                if excerpt is not None:
                    return excerpt
            await asyncio.sleep(next(pauses))
        return Excerpt(b"", 0)

    async def follow(
        self, job_id: int, access: Access, stream: Stream, number: int | None = None
    ) -> AsyncGenerator[bytes] | Missing:
        """The output of an attempt as it comes, to its end; close the generator to stop.

        Without a number it is the attempt that runs, else the one that a waiting job starts next, else a final job's
        last one. The end comes once the end of the attempt is known to the store. An attempt whose target reported
        another output than its request had comes with both. NotAllowed without the right to read outputs.
        """
        _check_right(access)
        record = await self._record(job_id, access)
        if record is None:
            return Missing(f"There is no job {job_id}")
        next_number = record.attempt + (record.state not in FINAL_STATES)
        if number is None:
            number = record.attempt if record.state is State.RUNNING else next_number
        if number > next_number:
            return _no_attempt(job_id, number)
        return self._pieces(record, access, stream, number)

    def stop_waiting(self) -> None:
        """The server stops: whoever follows an attempt that does not run here waits no longer for it."""
        self._stopping.set()

    def close(self) -> None:
        """Nothing runs here any more: all followers have heard everything, or are too slow for it."""
        self._stopping.set()
        self._closed.set()

    async def wait_closed(self) -> None:
        """Return when it is closed."""
        await self._closed.wait()

    async def _pieces(
        self, record: JobRecord | None, access: Access, stream: Stream, number: int
    ) -> AsyncGenerator[bytes]:
        live: LiveOutput | None = None
        seen: Seen | None = None
        pauses, looks = _pauses(), 0
        while record is not None and not _is_in_vain(record, number):
            if _has_ended(record, number):
                stored = await self._stored_output(record.id, number)
                if stored is not None:
                    if unseen := _unseen(stored, stream, live, seen):
                        yield unseen
                    return
            elif live is None and record.attempt == number and (live := self._live(record)):
                async with aclosing(live.follow(stream)) as pieces:
                    async for piece in pieces:
                        yield piece
                pauses = _pauses()
            elif live is None and seen is None and record.attempt == number and looks >= HERE_LOOKS:
                async with aclosing(self._pieces_from_elsewhere(record, access, stream)) as parts:
                    async for piece, seen in parts:  # noqa: B007 (what was seen counts at the end)
                        yield piece
            looks += record.state is State.RUNNING
            if await self._stops_within(next(pauses)):
                return
            record = await self._look_again(record, access)

    async def _heard_so_far(self, record: JobRecord, access: Access, stream: Stream) -> Excerpt | None:
        """What the node that runs it has by now: empty where it does not tell in time, None once the run is over."""
        with self._elsewhere.following(record.id, record.claim_seq) as follower:
            if follower is None:
                return Excerpt(b"", 0)
            heard = follower.streams[stream]
            for _ in range(TOLD_PAUSES):
                if heard.has_told:
                    break
                if not await self._goes_on(record, access, heard):
                    return None
            await asyncio.sleep(FIRST_PIECES_S)
            return Excerpt(heard.read(0)[0], heard.end)

    async def _pieces_from_elsewhere(
        self, record: JobRecord, access: Access, stream: Stream
    ) -> AsyncGenerator[tuple[bytes, Seen]]:
        """What comes from the node that runs the job, until the run is over or a piece is missing."""
        if not self._store.is_shared:
            return
        with self._elsewhere.following(record.id, record.claim_seq) as follower:
            heard, place = Heard() if follower is None else follower.streams[stream], 0
            while not self._stopping.is_set():
                piece, place = heard.read(place)
                if piece:
                    yield piece, Seen(heard.begin, heard.end)  # more may be heard before this is taken
                elif heard.is_broken or not await self._goes_on(record, access, heard):
                    return

    async def _goes_on(self, record: JobRecord, access: Access, heard: Heard) -> bool:
        """Wait for more, for a moment; whether more may come."""
        try:
            async with asyncio.timeout(LONGEST_PAUSE_S):
                await heard.more.wait()
        except TimeoutError:
            now = await self._look_again(record, access)
            return now is not None and now.state is State.RUNNING and now.claim_seq == record.claim_seq
        return True

    async def _stops_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                return await self._stopping.wait()
        except TimeoutError:
            return False

    async def _record(self, job_id: int, access: Access) -> JobRecord | None:
        record = await self._store.get(job_id) if 0 < job_id < ID_LIMIT else None
        return record if record is not None and access.sees(record.context, record.queue) else None

    async def _look_again(self, record: JobRecord, access: Access) -> JobRecord | None:
        """The job as it is now, or as it was where the store can't be read: who follows it has time."""
        try:
            return await self._record(record.id, access)
        except StoreError:
            return record

    async def _stored(self, record: JobRecord, stream: Stream, number: int | None) -> Excerpt | Missing:
        wanted = record.attempt if number is None else number
        output = await self._store.output(record.id, wanted)
        if output is not None:
            return _excerpt(output, stream, f"{record.id}-{wanted}-{stream}")
        return Excerpt(b"", 0) if number is None else _no_attempt(record.id, number)

    async def _stored_output(self, job_id: int, number: int) -> Output | None:
        """What is stored; None where the store can't be read now."""
        try:
            return await self._store.output(job_id, number) or NO_OUTPUT
        except StoreError:
            return None

    def _live(self, record: JobRecord) -> LiveOutput | None:
        for executor in self._executors:
            if live := executor.live(record.id, record.claim_seq):
                return live
        return None


def _check_right(access: Access) -> None:
    if not access.may(Right.READ_OUTPUT):
        raise NotAllowed("", f"the token {access.name} does not have the scope {Right.READ_OUTPUT}, which outputs need")


def _has_ended(record: JobRecord, number: int) -> bool:
    return record.attempt > number or (record.attempt == number and record.state is not State.RUNNING)


def _is_in_vain(record: JobRecord, number: int) -> bool:
    """Whether the job ended before it came to this attempt."""
    return record.attempt < number and record.state in FINAL_STATES


def _no_attempt(job_id: int, number: int) -> Missing:
    return Missing(f"Job {job_id} has no ended attempt {number}")


def _excerpt(output: Output, stream: Stream, version: str | None) -> Excerpt:
    body = _part(output, stream)
    return Excerpt(body, _size(output, stream), version)


def _part(output: Output, stream: Stream) -> bytes:
    match stream:
        case Stream.OUTPUT:
            return output.text
        case Stream.STDERR:
            return output.error_text
        case Stream.HEAD:
            return output.head


def _unseen(output: Output, stream: Stream, live: LiveOutput | None, seen: Seen | None) -> bytes:
    """What of a stored stream is still to be shown to somebody who has followed it here or elsewhere."""
    body = _part(output, stream)
    if live is not None:
        return b"" if body == _part(live.snapshot(), stream) else body
    return body if seen is None else rest_of(body, _size(output, stream), seen)


def _size(output: Output, stream: Stream) -> int:
    """How many bytes of a stream were received."""
    sizes = {Stream.OUTPUT: output.size, Stream.STDERR: output.error_size, Stream.HEAD: len(output.head)}
    return sizes[stream]


def _pauses() -> Iterator[float]:
    pause = FIRST_PAUSE_S
    while True:
        yield pause
        pause = min(2 * pause, LONGEST_PAUSE_S)
