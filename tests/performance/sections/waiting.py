"""Listening: how soon clients hear of a job's end, and what it costs the others that they listen.

The latencies are from the moment at which the target answers a job's request to the arrival of the event, or of the
answer to `?wait=`: the end's commit lies between them. The throughput is that of jobs added and run at once, measured
in turns with and without clients that listen; they run on the same cores.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import msgspec

from tests.performance import children
from tests.performance.children import BenchmarkError
from tests.performance.figures import Figure, Goal, alone, beside
from tests.performance.jobs import LAST, http_job
from tests.performance.programs.listeners import Heard
from tests.performance.sections.both import Both, both
from tests.performance.sections.latency import LOST_S, PAUSE_S, percentile
from tests.performance.stage import Stage
from tests.performance.wire import Connection

LANE = "/ending"
READERS, WAITERS = 200, 1000
ALONE = "nobody listens"
NEVER_S = 30 * 86_400
GOALS = {50: Goal(), 99: Goal(at_most=20.0)}
GOAL_CROWD = Goal(ratio_at_least=0.95)
GOAL_MEMORY = Goal(at_most=100.0)
SETTLE_S = 1.0


def measure(stage: Stage) -> Iterator[Figure]:
    stage.open()
    yield from latencies(stage, "event", "answered job to event", of_event(stage))
    yield from latencies(stage, "answer", "answered job to answer of ?wait=", of_answer(stage))
    yield from crowd_figures(stage, "reader", "1 reader of everything", readers=1, waiters=0)
    title = f"{READERS} readers of everything, {WAITERS:,} waiters"
    yield from crowd_figures(stage, "crowd", title, readers=READERS, waiters=WAITERS)
    title = f"{READERS} readers of single jobs, {WAITERS:,} waiters"
    yield from crowd_figures(stage, "single", title, readers=READERS, waiters=WAITERS, of_jobs=True)


def latencies(stage: Stage, name: str, title: str, sample: Callable[[], float]) -> Iterator[Figure]:
    bench = stage.bench
    rounds: list[list[float]] = []
    for number in range(bench.scale.rounds):
        bench.progress.say(f"{title}: round {number + 1} of {bench.scale.rounds}")
        rounds.append([sample() for _ in range(bench.scale.latency_samples // 2)])
    for share, goal in GOALS.items():
        measured = [percentile(each, share) for each in rounds]
        yield alone(f"end_to_{name}_p{share}_ms", f"{title}, p{share}", "ms", measured, goal)


def of_event(stage: Stage) -> Callable[[], float]:
    """A measurement on a stream that is opened for it, as a client opens one for its job."""

    def sample() -> float:
        with running_job(stage) as (job_id, release), closing(Connection(stage.server.port)) as stream:
            stream.begin("GET", f"/v1/jobs/{job_id}/events")
            stream.read_until(b"event: job\n")
            begin_ns = release()
            stream.read_until(b"event: job.completed\n")
            return (time.monotonic_ns() - begin_ns) / 1e6

    return sample


def of_answer(stage: Stage) -> Callable[[], float]:
    def sample() -> float:
        with running_job(stage) as (job_id, release), closing(Connection(stage.server.port)) as waiter:
            waiter.begin("GET", f"/v1/jobs/{job_id}?wait=60")
            time.sleep(PAUSE_S)  # until the request waits
            begin_ns = release()
            waiter.read_until(b'"state":"completed"')
            return (time.monotonic_ns() - begin_ns) / 1e6

    return sample


@contextmanager
def running_job(stage: Stage) -> Iterator[tuple[int, Callable[[], int]]]:
    """A job whose target holds its request, and how to have it answered: it says when that was."""
    target = stage.bench.target
    arrivals = target.read(LANE).arrivals
    target.hold(LANE)
    job_id = stage.server.add(http_job(target.url(LANE)))
    target.wait(LANE, arrivals + 1, LOST_S)
    try:
        yield job_id, lambda: target.release(LANE).now_ns
    finally:
        target.let_pass(LANE)


def crowd_figures(
    stage: Stage, name: str, title: str, *, readers: int, waiters: int, of_jobs: bool = False
) -> Iterator[Figure]:
    bench = stage.bench
    added_mb: list[float] = []
    heard: list[Heard] = []

    def with_crowd() -> Both:
        before = stage.server.memory()[0].resident_mb
        with listening(stage, readers, waiters, of_jobs, heard):
            time.sleep(SETTLE_S)
            work = both(stage)
            added_mb.append(stage.server.memory()[0].resident_mb - before)
        return work

    rounds = bench.alternate(title, with_crowd, {ALONE: lambda: both(stage)})
    yield beside(
        rounds,
        ALONE,
        lambda work: work.jobs.per_s,
        name=f"{name}_jobs_per_s",
        title=f"both at once: jobs run, {title}",
        goal=GOAL_CROWD,
    )
    yield beside(
        rounds,
        ALONE,
        lambda work: work.jobs.cpu_s_per_1000,
        name=f"{name}_cpu_s_per_1000_jobs",
        title=f"CPU for 1,000 jobs, {title}",
        unit="s",
    )
    yield alone(f"{name}_memory_mb", f"memory added by {title} and their load", "MB", added_mb, GOAL_MEMORY)
    told = [each.events / max(1, readers) for each in heard]
    yield alone(f"{name}_events_told", f"events that each was told, {title}", "", told)
    yield alone(f"{name}_resets", f"resets and cuts of each, {title}", "", [lost(each, readers) for each in heard])


def lost(heard: Heard, readers: int) -> float:
    return (heard.resets + heard.cuts) / max(1, readers)


@contextmanager
def listening(stage: Stage, readers: int, waiters: int, of_jobs: bool, heard: list[Heard]) -> Iterator[None]:
    """Clients that listen as long as the block; what they have heard is added to `heard`."""
    job_id = stage.server.add(never(stage)) if waiters else 0
    stream = f"/v1/jobs/{job_id}/events" if of_jobs else "/v1/events"
    arguments = ("--port", stage.server.port, "--readers", readers, "--waiters", waiters, "--job", job_id)
    command = children.program("listeners", *arguments, "--stream", stream)
    log = stage.bench.folder / "listeners.log"
    with children.running(command, log, piped=True) as process:
        assert process.stdin
        assert process.stdout
        if process.stdout.readline() != b"ready\n":
            raise BenchmarkError(f"the listeners are not ready; they said:\n{children.tail(log)}")
        yield
        process.stdin.close()
        heard.append(msgspec.json.decode(process.stdout.readline(), type=Heard))


def never(stage: Stage) -> bytes:
    """A job that waits for longer than the benchmark lasts."""
    job = msgspec.json.decode(http_job(stage.bench.target.url(LANE), LAST))
    return msgspec.json.encode({**job, "delay": NEVER_S})
