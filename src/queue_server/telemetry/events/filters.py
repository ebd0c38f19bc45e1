"""Which events a reader wants."""

import msgspec

from queue_server.domain.state import State
from queue_server.telemetry.events.event import EventType, JobEvent


class EventFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Wants the events that fulfil all that is set."""

    types: frozenset[EventType] | None = None
    states: frozenset[State] | None = None
    queue: str | None = None
    context: str | None = None
    job_id: int | None = None

    def wants(self, event: JobEvent) -> bool:
        """Whether an event fulfils it all."""
        return (
            self.wants_kind(event)
            and self.queue in (None, event.queue)
            and self.context in (None, event.context)
            and self.job_id in (None, event.job_id)
        )

    def wants_kind(self, event: JobEvent) -> bool:
        """Whether an event has one of the types and one of the states."""
        return (self.types is None or event.type in self.types) and (self.states is None or event.state in self.states)


EVERYTHING = EventFilter()
