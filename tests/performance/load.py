"""Makes load: posts one job over and over, for a time or a number of times."""

import hashlib
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec

from tests.performance import children
from tests.performance.children import BenchmarkError
from tests.performance.work import Work

SCRIPT = Path(__file__).parent / "programs" / "wrk.lua"
MARGIN_S = 30.0


class LoadGenerator:
    """wrk where it is installed, because it uses the least CPU; else, and for exact counts, our own."""

    def __init__(self, wanted: str, folder: Path) -> None:
        self.name = "wrk" if wanted != "own" and shutil.which("wrk") else "own"
        self._folder = folder

    def post_for(self, seconds: float, port: int, job: bytes, connections: int, token: str = "") -> Work:
        """Post for a time (with wrk whole seconds); BenchmarkError unless all answers were 200."""
        if self.name == "own":
            arguments = ("--port", port, "--connections", connections, "--seconds", seconds, "--token", token)
            return children.work_of(children.program("generator", *arguments), body=job, timeout_s=seconds + MARGIN_S)
        body = self._folder / f"job_{hashlib.sha256(job).hexdigest()[:16]}.json"  # several loads may run at once
        if not body.exists():
            body.write_bytes(job)
        duration = f"{math.ceil(seconds)}s"
        command = ["wrk", "-t1", f"-c{connections}", f"-d{duration}", "-s", str(SCRIPT)]
        work = children.work_of(
            [*command, f"http://127.0.0.1:{port}/jobs/add"],
            timeout_s=seconds + MARGIN_S,
            BENCH_BODY=str(body),
            BENCH_TOKEN=token,
        )
        if work.failed:
            raise BenchmarkError(f"{work.failed:,} of {work.amount:,} posts were not answered with 200")
        return work

    def post(self, count: int, port: int, job: bytes, connections: int = 64) -> Work:
        """Post exactly `count` times."""
        arguments = ("--port", port, "--connections", connections, "--requests", count)
        timeout_s = MARGIN_S + count / 500
        return children.work_of(
            children.program("generator", *arguments, "--seconds", timeout_s),
            body=job,
            timeout_s=timeout_s + 5,
        )


def with_cpu(work: Callable[[], Work], cpu_s: Callable[[], float]) -> Work:
    """Do the work and add the CPU seconds that were used meanwhile."""
    before = cpu_s()
    done = work()
    return msgspec.structs.replace(done, cpu_s=cpu_s() - before)
