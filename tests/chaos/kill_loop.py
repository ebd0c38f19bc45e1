"""One run of the kill loop: a server killed and started again under load, then judged by the oracle."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.dump import dump_file
from tests.chaos.load import recorders, seeded_chance
from tests.chaos.oracle import Verdict, judge
from tests.support.server import PROGRAM, Server, end, timed
from tests.support.waiting import until

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
    chance = seeded_chance()
    server = Server(folder, "--concurrency", str(SLOTS), "--log-level", "warning", program=program)
    ready: list[float] = []
    with ExitStack() as stack:
        load = stack.enter_context(recorders(folder, target_delay))
        stack.callback(end, server)
        _start(server)
        with load.on([server.port]):
            for _ in range(rounds):
                load.wait_for_work(chance.randint(5, 150))
                server.kill()
                if chance.random() < 0.2:  # one that dies while it starts
                    server.launch()
                    time.sleep(chance.random())  # the moment of the fault is by chance
                    server.kill()
                ready.append(_start(server))
        is_drained = _drain(server, drain_s)
        server.stop()
    verdict = judge(folder, dump_file(server.db), SLOTS)
    if not is_drained:
        verdict.complaints.append(f"I1 not every job had ended {drain_s:.0f} s after the last kill")
    return Run(verdict, ready)


def _start(server: Server) -> float:
    """Seconds until the server takes jobs."""
    seconds, _ = timed(server.start_unread)
    return seconds


def _drain(server: Server, within_s: float) -> bool:
    """Whether every job ended in time."""

    def is_idle() -> bool:
        data = server.get("/jobs/status")["data"]
        return data["waiting"] == data["working"] == 0

    try:
        return until(is_idle, within_s)
    except AssertionError:
        return False
