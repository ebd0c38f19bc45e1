"""A stage: one server with what surrounds it, and the ballast that stops it from running jobs.

Ballast is jobs of the lowest priority whose target answers only when told to. When nothing else waits they
take every job slot, and the server can only accept. Once the target answers them, their slots go to whatever
has a higher priority at a known moment, and then to ballast again. So accepting is measured without running,
and running without accepting, on the same server with its normal settings; and a full queue of ballast looks
like any queue of runnable jobs.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tests.performance import children
from tests.performance.children import BenchmarkError
from tests.performance.jobs import LAST, http_job
from tests.performance.load import LoadGenerator
from tests.performance.options import Options, Scale
from tests.performance.progress import Progress
from tests.performance.rounds import Rounds, alternate
from tests.performance.server import Server, running_server
from tests.performance.target import Target

T = TypeVar("T")

BLOCK_S = 120.0
POLL_S = 0.05


@dataclass(frozen=True)
class Bench:
    """What all stages share."""

    options: Options
    folder: Path
    target: Target
    load: LoadGenerator
    progress: Progress

    @property
    def scale(self) -> Scale:
        return self.options.scale

    def alternate(
        self, what: str, measure: Callable[[], T], limits: Mapping[str, Callable[[], T]], rounds: int = 0
    ) -> Rounds[T]:
        """Measure in turns with the limits, as often as the scale says."""
        return alternate(
            rounds or self.scale.rounds, measure, limits, lambda step: self.progress.say(f"{what}: {step}")
        )


@dataclass(frozen=True)
class Stage:
    """A running server in whose queue `waiting` jobs of ballast wait; 0: they are added when needed."""

    bench: Bench
    server: Server
    ballast: str
    waiting: int

    def block(self) -> None:
        """Let ballast take every job slot, after all other jobs have run."""
        slots = self.server.counts().max_threads
        self.bench.target.hold(self.ballast)
        if not self.waiting:
            self.add_ballast(slots)
        until(
            lambda: self.bench.target.read(self.ballast).held >= slots,
            BLOCK_S,
            f"the server did not run {slots} jobs at once",
        )

    def add_ballast(self, count: int) -> None:
        job = http_job(self.bench.target.url(self.ballast), LAST)
        self.bench.load.post(count, self.server.port, job)

    def release(self) -> int:
        """Give the slots to what waits and ballast after it. The CLOCK_MONOTONIC ns when that began."""
        return self.bench.target.release(self.ballast).now_ns

    def open(self) -> None:
        """Answer ballast like anything else."""
        self.bench.target.let_pass(self.ballast)


def ballast_of(database: Path) -> str:
    """The lane of the ballast in this database."""
    return f"/ballast/{database.stem}"


@contextmanager
def running_stage(bench: Bench, database: Path, waiting: int) -> Iterator[Stage]:
    """A server on this database file, for the length of the block."""
    with running_server(bench.options, database) as server:
        stage = Stage(bench, server, ballast_of(database), waiting)
        try:
            yield stage
        finally:
            with suppress(BenchmarkError, OSError):
                stage.open()  # else the server would wait for its running jobs when it is stopped


@contextmanager
def bare_server(bench: Bench, name: str, *arguments: object) -> Iterator[tuple[int, int]]:
    """One of our own programs that serves a port, for the length of the block: its port and pid."""
    port, log = children.free_port(), bench.folder / f"{name}.log"
    with children.running(children.program(name, port, *arguments), log) as process:
        children.connect(process, port, log).close()
        yield port, process.pid


def until(reached: Callable[[], bool], timeout_s: float, complaint: str) -> None:
    """Wait for something that can only be asked for, at most 20 times a second."""
    end = time.monotonic() + timeout_s
    while not reached():
        if time.monotonic() > end:
            raise BenchmarkError(f"{complaint} within {timeout_s:.0f} s")
        time.sleep(POLL_S)
