"""The server at a moment, as `top` shows it."""

import msgspec

from queue_server.client import Client, Job, Stats
from queue_server.clock import Clock
from queue_server.domain.state import FINAL_STATES, State

MOST_JOBS = 200


class Snapshot(msgspec.Struct, frozen=True):
    """What there was `at` a time (µs): counts, the jobs that ran (the oldest first), the last failures."""

    at: int
    stats: Stats
    running: tuple[Job, ...]
    failed: tuple[Job, ...]


class Rates(msgspec.Struct, frozen=True):
    """Jobs per second between two moments."""

    added: float
    ended: float
    failed: float


def take(client: Client, clock: Clock, failures: int) -> Snapshot:
    """The server now, with its last `failures` failures."""
    stats = client.stats()
    running = tuple(client.jobs(state=State.RUNNING.value, sort="id", limit=MOST_JOBS))
    failed = tuple(client.jobs(state=State.FAILED.value, sort="-ended_at", limit=failures)) if failures else ()
    return Snapshot(clock.now(), stats, running, failed)


def rates(before: Snapshot, after: Snapshot) -> Rates | None:
    """From the counts, so jobs that were deleted meanwhile are missing; None if no time has passed."""
    seconds = (after.at - before.at) / 1_000_000
    if seconds <= 0:
        return None

    def growth(states: tuple[State, ...]) -> float:
        return max(0, _count(after, states) - _count(before, states)) / seconds

    return Rates(growth(tuple(State)), growth(FINAL_STATES), growth((State.FAILED,)))


def _count(snapshot: Snapshot, states: tuple[State, ...]) -> int:
    return sum(snapshot.stats.jobs.get(state.value, 0) for state in states)
