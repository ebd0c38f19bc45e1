"""Nodes that stand still for three leases while others take their jobs write nothing when they wake, and stop at once.

CHAOS_PAUSES is how often, CHAOS_PAUSED how many nodes stand still each time.
"""

import signal
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.chaos.cluster import LEASE_S, RECLAIM_S, Cluster, cluster_on
from tests.chaos.database_server import postgres_of_its_own
from tests.chaos.dump import dump_url
from tests.chaos.load import rounds
from tests.chaos.oracle import STRUCK
from tests.chaos.planting import planted
from tests.chaos.postgres_variants import no_fence, work_without_lease
from tests.support.server import PROGRAM, Server, timed
from tests.support.target import NEVER, Reply, Target, running_target
from tests.support.waiting import until

PAUSE_S = 3 * LEASE_S
STOPPED_WITHIN_S = 1.0
LATE_S = 10.0
"""A first answer that comes while the node stands still: it finds it when it wakes."""

DROPPED = "result dropped: the job is no longer this claim's"
"""What a node logs of each end that its fence keeps from being written."""

STALE = "a stale end was written"
STILL_WORKS = "the end of the woken nodes' requests"

SLOTS = 6
PAUSES, PAUSED = rounds("CHAOS_PAUSES", 1), rounds("CHAOS_PAUSED", 2)
RESCUER = f"n{PAUSED + 1}"
pytestmark = [pytest.mark.long, pytest.mark.timeout(120 + 90 * PAUSES)]


def test_paused_nodes_write_nothing_and_stop_their_work_when_they_wake(tmp_path: Path) -> None:
    stopped = run_pauses(tmp_path, PAUSES)
    print(f"{PAUSES} pauses of {PAUSED} nodes; side work stopped {max(stopped):.2f} s after waking (worst)")
    assert max(stopped) < STOPPED_WITHIN_S


@pytest.mark.parametrize(("bug", "failure"), [(no_fence, STALE), (work_without_lease, f"{STILL_WORKS}|{STALE}")])
def test_pauses_show_what_a_node_does_wrong(tmp_path: Path, bug: Callable[[], None], failure: str) -> None:
    with pytest.raises(AssertionError, match=failure):
        run_pauses(tmp_path, 1, program=planted(bug))


def run_pauses(folder: Path, count: int, *, program: Sequence[str] = PROGRAM) -> list[float]:
    """Seconds from each waking until the last request of the paused nodes was dropped."""
    with (
        postgres_of_its_own() as database,
        running_target() as target,
        cluster_on(folder, database, PAUSED + 1, slots=SLOTS, program=program) as cluster,
    ):
        return [pause_once(cluster, target, f"/{number}") for number in range(count)]


def pause_once(cluster: Cluster, target: Target, path: str) -> float:
    """One pause, with jobs that never end, that end while their node stands still, and that end twice at once."""
    rescuer, *paused = (cluster.nodes[name] for name in (RESCUER, *sorted(set(cluster.nodes) - {RESCUER})))
    rescuer.stop()
    released = threading.Event()
    late = Reply(delay=LATE_S, body=b"stale")
    replies = (
        (NEVER, Reply(body=b"second")),
        (late, Reply(body=b"second")),
        (late, Reply(hold=released, body=b"second")),
    )
    paths = [f"{path}/{number}" for number in range(SLOTS * len(paused))]
    jobs = [
        paused[0].add({"type": "http", "timeout": 600, "url": target.on(each, *replies[number % 3])})
        for number, each in enumerate(paths)
    ]
    for each in paths:
        target.wait(each)
    rescuer.start_unread()
    for node in paused:
        node.signal(signal.SIGSTOP)
    stopped_at = time.monotonic()
    for each in paths:
        again = target.wait(each, 2, within_s=RECLAIM_S + 5)[1].at
        assert again - stopped_at < RECLAIM_S
    time.sleep(max(0.0, stopped_at + PAUSE_S - time.monotonic()))  # the pause is the fault
    held = len([each for number, each in enumerate(paths) if number % 3 == 0])
    open_before = target.open
    for node in paused:
        node.signal(signal.SIGCONT)
    seconds, _ = timed(until, lambda: target.open <= open_before - held, 30, STILL_WORKS)
    for node in paused:
        until(
            lambda node=node: have_ended(rescuer, jobs[2::3]) or node.log.count(DROPPED) >= SLOTS, 30, "what they drop"
        )
    assert not have_ended(rescuer, jobs[2::3]), STALE
    released.set()
    for job in jobs:
        assert rescuer.wait_end(job)["state"] == "completed"
        assert rescuer.output(job) == b"second"
    assert_claimed_twice(cluster, jobs)
    assert [len(target.of(each)) for each in paths] == [2] * len(paths)
    return seconds


def have_ended(node: Server, jobs: Sequence[int]) -> list[int]:
    """Those of the jobs that do not run any more."""
    return [job for job in jobs if node.job(job)["state"] != "running"]


def assert_claimed_twice(cluster: Cluster, jobs: Sequence[int]) -> None:
    """Of each job the first claim was lost and the second one's end was written, and nothing else."""
    attempts = dump_url(cluster.db).attempts
    for job in jobs:
        first, second = attempts[job]
        assert first["outcome"] in STRUCK
        assert second["outcome"] == "succeeded"
        assert first["node_id"] != second["node_id"]
