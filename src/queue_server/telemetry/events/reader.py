"""One reader of events: how far it has come, and what becomes of it when it does not keep up.

Nothing is kept for a single reader. It has a place among the recent events, which all share, and takes a piece of them
when the one before has left for its client. Two things can go wrong, and memory grows with neither:

    its client does not read        it is dropped as soon as the next event of its place is forgotten
    more happens than may be told   it is told to `reset`, and goes on with what happens from then on
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from queue_server.telemetry.events.frames import PING
from queue_server.telemetry.events.group import Group, join
from queue_server.telemetry.events.pace import Pace
from queue_server.telemetry.events.recent import RecentEvents

TOO_MUCH = "more has happened than can be told"


class Reader:
    """See the module. `drop` cuts its client off, `ask` has it woken in its turn."""

    def __init__(
        self,
        recent: RecentEvents,
        pace: Pace,
        group: Group,
        missed: Sequence[int],
        *,
        ask: Callable[[Group], None],
        drop: Callable[[], None],
    ) -> None:
        self._recent = recent
        self._pace = pace
        self._group = group
        self._missed = missed
        self._place = group.end
        self._last = (missed[0] - 1) if missed else recent.last
        self._ask = ask
        self._drop = drop
        self._waiting: asyncio.Future[None] | None = None
        self._is_sending = False
        self._is_closing = False
        self._is_finishing = False
        self.is_over = False

    def opening(self, why_reset: str = "") -> bytes:
        """The first bytes of the stream."""
        opening = self._recent.frames.opening(self._last)
        return opening + self._reset(why_reset) if why_reset else opening

    def frame(self, name: str, data: Any) -> bytes:
        """Something else than an event of a job, as bytes, for between what was taken and what comes next."""
        return self._recent.frames.other(self._last, name, data)

    async def read(self, quiet_s: float) -> bytes:
        """The next bytes to send: events, or a ping after `quiet_s` seconds without any; none when the stream is over.

        While the bytes are being sent nothing else may be asked of the reader.
        """
        self._is_sending = False
        is_told = self._needs_no_wait() or await self._is_woken(quiet_s)
        data = self._next() if is_told else PING
        self._is_sending = bool(data)
        return data

    def finish(self) -> None:
        """Have the stream end with what has happened so far."""
        self._is_finishing = True

    def wake(self) -> bool:
        """See Wakeable."""
        if self._waiting is not None:
            if not (self._has_more() or self._is_closing) or self._waiting.done():
                return False
            self._waiting.set_result(None)
            return True
        if self._is_sending and self._has_lost_its_place():
            self.drop()
        return False

    def close(self) -> None:
        """Have the stream end soon, and with the server. A client that does not read is cut off."""
        self._is_closing = True
        if self._is_sending and self._waiting is None:
            self.drop()
        else:
            self.wake()

    def drop(self) -> None:
        """Cut the client off."""
        self.is_over = True
        self._drop()

    def _needs_no_wait(self) -> bool:
        return self.is_over or self._is_closing or self._is_finishing

    async def _is_woken(self, quiet_s: float) -> bool:
        self._waiting = asyncio.get_running_loop().create_future()
        if self._has_more():
            self._ask(self._group)
        try:
            async with asyncio.timeout(quiet_s):
                await self._waiting
        except TimeoutError:
            return False
        finally:
            self._waiting = None
        return True

    def _has_more(self) -> bool:
        return bool(self._missed) or self._place < self._group.end

    def _has_lost_its_place(self) -> bool:
        if self._missed:
            return self._missed[0] < self._recent.first
        return self._group.has_forgotten(self._place)

    def _next(self) -> bytes:
        if self.is_over:
            return b""
        if self._has_lost_its_place():
            return self._skip()
        data = self._take()
        is_finished = self._is_finishing and not self._has_more()
        self.is_over = self._is_closing or is_finished or (bool(data) and self._is_at_the_end_of_its_job())
        return data

    def _take(self) -> bytes:
        if self._missed:
            data, count = join(self._recent, self._missed, self._pace.piece_bytes)
            self._last = self._missed[count - 1]
            self._missed = self._missed[count:]
            return data
        if self._place == self._group.end:
            return b""
        data, self._place = self._group.piece_after(self._place)
        self._last = self._group.last_before(self._place)
        return data

    def _skip(self) -> bytes:
        """Go on with what happens from now on. A job's stream ends instead: its end may be among what was lost."""
        self._missed = ()
        self._place = self._group.end
        self._last = self._recent.last
        self.is_over = self._is_closing or self._group.wanted.job_id is not None
        return self._reset(TOO_MUCH)

    def _reset(self, why: str) -> bytes:
        return self.frame("reset", {"reason": why})

    def _is_at_the_end_of_its_job(self) -> bool:
        if self._group.wanted.job_id is None or self._has_more():
            return False
        return self._last >= self._recent.first and self._recent.event(self._last).is_end
