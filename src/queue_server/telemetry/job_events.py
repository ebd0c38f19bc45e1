"""What happens to jobs, told to whoever listens: readers of events, and those who wait for a job's end.

Whatever changes a job tells it here once the change is durable, in the order of the changes. It asks `is_heard` first:
while nobody listens that is all it costs. Other nodes are told while they listen; what they tell comes in by `tell`.
"""

import asyncio
from collections.abc import Callable, Generator
from contextlib import contextmanager

import msgspec

from queue_server.clock import Clock
from queue_server.domain.access import Access
from queue_server.domain.job import Job, JobRecord, NewJob
from queue_server.domain.lifecycle import Transition
from queue_server.domain.wishes import Revision
from queue_server.telemetry.events import event as events
from queue_server.telemetry.events.delivery import Delivery
from queue_server.telemetry.events.ends import Ends
from queue_server.telemetry.events.event import JobEvent
from queue_server.telemetry.events.filters import EventFilter
from queue_server.telemetry.events.frames import Frames
from queue_server.telemetry.events.others import EventRelay, Nobody, Others, events_in
from queue_server.telemetry.events.reader import Reader
from queue_server.telemetry.events.recent import EVENTS_KEPT, RecentEvents

KEEP_S = 300.0
"""How long events are recorded after the last reader has left, so that it can come back and go on."""

READERS_LIMIT = 1000


class JobEvents:
    """The events of one run of the server, which `run` names. Belongs to the event loop that it is made in."""

    def __init__(
        self,
        clock: Clock,
        run: str,
        *,
        others: Others | None = None,
        kept: int = EVENTS_KEPT,
        keep_s: float = KEEP_S,
    ) -> None:
        self._clock = clock
        self._others = others or Nobody()
        self._relay = EventRelay(self._others)
        self._keep_s = keep_s
        self._loop = asyncio.get_running_loop()
        self._recent = RecentEvents(Frames(run), kept)
        self._delivery = Delivery(self._recent)
        self._forgetting: asyncio.TimerHandle | None = None
        self._is_recording = False
        self.ends = Ends(self._listeners_changed)
        self._is_heard_here = False
        self.is_closed = False
        self._others.on_relayed(self._relayed)

    @property
    def is_heard(self) -> bool:
        """Whether anybody listens, here or on another node."""
        return self._is_heard_here or self._others.is_relaying

    def added(self, job_id: int, row: NewJob) -> None:
        """A job has been accepted, or a callback is owed."""
        if self._is_told:
            self._tell(events.added(job_id, row))

    def started(self, job: Job) -> None:
        """An attempt of the job begins."""
        if self._is_told:
            self._tell(events.started(job))

    def ended(self, job: Job, change: Transition) -> None:
        """The transition has been applied: the attempt has ended, or goes on past its request."""
        if self._is_told:
            self._tell(events.ended(job, change, self._clock.now()))
        if change.state.is_final:
            self.ends.came(job.id)

    def updated(self, record: JobRecord) -> None:
        """The job is now like `record`, but for what no event tells."""
        if self._is_told:
            self._tell(events.updated(record, self._clock.now()))

    def deleted(self, record: JobRecord) -> None:
        """Somebody has deleted the job."""
        if self._is_told:
            self._tell(events.deleted(record, self._clock.now()))
        self.ends.came(record.id)

    def revised(self, record: JobRecord, change: Revision) -> None:
        """Somebody has changed the job, which was like `record`."""
        if self._is_told:
            self._tell(events.revised(record, change, self._clock.now()))

    def tell(self, event: JobEvent) -> None:
        """An event of another node."""
        if self._is_recording:
            self._record(event)
        if event.is_end:
            self.ends.came(event.job_id)

    @property
    def has_room(self) -> bool:
        """Whether one more reader may come."""
        return len(self._delivery.readers) < READERS_LIMIT

    @contextmanager
    def open(
        self, wanted: EventFilter, access: Access, last_id: str, drop: Callable[[], None]
    ) -> Generator[tuple[Reader, bytes]]:
        """A reader for as long as the block, and the first bytes of its stream: of what happens to jobs that it sees.

        It goes on after the event `last_id`; where that can't be, or with no id, it is told what happens from now on.
        `drop` is called when its client does not keep up, and must cut it off.
        """
        self._start_recording()
        missed, why_reset = self._recent.after(last_id) if last_id else ((), "")
        wanted = msgspec.structs.replace(wanted, queues=access.queues, contexts=access.contexts)
        reader = self._delivery.open(wanted, missed, drop)
        if self.is_closed:
            reader.close()
        try:
            yield reader, reader.opening(why_reset)
        finally:
            self._delivery.leave(reader)
            if not (self._delivery.readers or self.is_closed):
                self._forgetting = self._loop.call_later(self._keep_s, self._stop_recording)

    def close(self) -> None:
        """Let nobody wait any more, and have all streams end with what has happened so far."""
        self.is_closed = True
        self._relay.flush()
        self.ends.close()
        self._delivery.close()
        if self._forgetting is not None:
            self._forgetting.cancel()

    @property
    def _is_told(self) -> bool:
        return self._is_recording or self._others.is_relaying

    def _tell(self, event: JobEvent) -> None:
        """An event of this node."""
        if self._is_recording:
            self._record(event)
        if self._others.is_relaying:
            self._relay.put(event)

    def _relayed(self, message: bytes) -> None:
        if self._is_heard_here:
            for event in events_in(message):
                self.tell(event)

    def _record(self, event: JobEvent) -> None:
        self._delivery.tell(self._recent.add(event), event)

    def _start_recording(self) -> None:
        if self._forgetting is not None:
            self._forgetting.cancel()
            self._forgetting = None
        self._is_recording = True
        self._others.want_relayed(True)
        self._listeners_changed()

    def _stop_recording(self) -> None:
        self._forgetting = None
        self._is_recording = False
        self._others.want_relayed(False)
        self._recent.clear()
        self._listeners_changed()

    def _listeners_changed(self) -> None:
        self._is_heard_here = self._is_recording or bool(self.ends)
