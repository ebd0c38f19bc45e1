"""One run of the kill loop: a server killed and started again under load, then judged by the oracle."""

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.oracle import Verdict, judge
from tests.support.server import PROGRAM, Server, end, timed
from tests.support.waiting import until

ROOT = Path(__file__).parents[2]
SEED = "CHAOS_SEED"
SLOTS = 20


@dataclass
class Run:
    verdict: Verdict
    ready_s: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        ready = sorted(self.ready_s)
        return (
            f"{len(ready)} kills: {self.verdict}; ready after {ready[len(ready) // 2]:.2f} s (median), "
            f"{ready[-1]:.2f} s (worst)"
        )


def run_kill_loop(
    folder: Path, rounds: int, *, program: Sequence[str] = PROGRAM, target_delay: float = 0.0, drain_s: float = 60
) -> Run:
    """Kill the server `rounds` times under load; everything has ended when this returns."""
    chance = random.Random(_seed())
    server = Server(folder, "--concurrency", str(SLOTS), "--log-level", "warning", program=program)
    ready: list[float] = []
    with ExitStack() as stack:
        target = stack.enter_context(_recorder(folder / "target", target_delay))
        callback = stack.enter_context(_recorder(folder / "callback", 0))
        stack.callback(end, server)
        _start(server)
        with _program("producer", str(folder / "producer"), str(server.port), str(target), str(callback)):
            for _ in range(rounds):
                _wait_for_work(folder / "target", chance.randint(5, 150))
                server.kill()
                if chance.random() < 0.2:  # one that dies while it starts
                    server.launch()
                    time.sleep(chance.random())  # the moment of the fault is by chance
                    server.kill()
                ready.append(_start(server))
        is_drained = _drain(server, drain_s)
        server.stop()
    verdict = judge(folder, server.db, SLOTS)
    if not is_drained:
        verdict.complaints.append(f"I1 not every job had ended {drain_s:.0f} s after the last kill")
    return Run(verdict, ready)


def _seed() -> int:
    seed = int(os.environ.get(SEED) or random.SystemRandom().randrange(2**32))
    print(f"{SEED}={seed}")
    return seed


def _start(server: Server) -> float:
    """Seconds until the server takes jobs."""
    seconds, _ = timed(server.start_unread)
    return seconds


def _wait_for_work(log: Path, more: int) -> None:
    """Wait until the target has seen so many more requests."""
    wanted = _count(log) + more
    until(lambda: _count(log) >= wanted, 60, f"{more} more requests at the target")


def _count(log: Path) -> int:
    return log.read_bytes().count(b"\n") if log.exists() else 0


def _drain(server: Server, within_s: float) -> bool:
    """Whether every job ended in time."""

    def is_idle() -> bool:
        data = server.get("/jobs/status")["data"]
        return data["waiting"] == data["working"] == 0

    try:
        return until(is_idle, within_s)
    except AssertionError:
        return False


@contextmanager
def _recorder(log: Path, delay: float) -> Iterator[int]:
    with _program("recorder", str(log), str(delay)) as process:
        assert process.stdout
        yield int(process.stdout.readline())


@contextmanager
def _program(name: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-m", f"tests.chaos.{name}", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    try:
        yield process
    finally:
        process.communicate(timeout=60)
