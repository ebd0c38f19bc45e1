"""Which events a reader wants."""

from collections.abc import Iterator
from itertools import product

import msgspec

from queue_server.domain.state import State
from queue_server.telemetry.events.event import EventType, JobEvent

Place = tuple[str | None, str | None]
"""A queue and a context; None is any."""


class EventFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Wants the events that fulfil all that is set. `queues` and `contexts` are those that its reader is bound to."""

    types: frozenset[EventType] | None = None
    states: frozenset[State] | None = None
    queue: str | None = None
    context: str | None = None
    job_id: int | None = None
    queues: frozenset[str] | None = None
    contexts: frozenset[str] | None = None

    @property
    def wants_all_of_its_place(self) -> bool:
        """Whether it wants every event of its job, or of its places where it is not for one job."""
        is_of_any_place = self.job_id is None or self.places == [(None, None)]
        return self.types is None and self.states is None and is_of_any_place

    @property
    def places(self) -> list[Place]:
        """The places whose events it may want: an event is of one of them at most."""
        return [*product(_values(self.queue, self.queues), _values(self.context, self.contexts))]

    def wants(self, event: JobEvent) -> bool:
        """Whether an event fulfils it all."""
        return (
            self.wants_kind(event)
            and self.queue in (None, event.queue)
            and self.context in (None, event.context)
            and self.job_id in (None, event.job_id)
            and (self.queues is None or event.queue in self.queues)
            and (self.contexts is None or event.context in self.contexts)
        )

    def wants_kind(self, event: JobEvent) -> bool:
        """Whether an event has one of the types and one of the states."""
        return (self.types is None or event.type in self.types) and (self.states is None or event.state in self.states)


def _values(value: str | None, bound: frozenset[str] | None) -> Iterator[str | None]:
    """The values that a queue or context may have."""
    if bound is None or value in bound:
        yield value
    elif value is None:
        yield from bound


EVERYTHING = EventFilter()
