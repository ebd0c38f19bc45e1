"""The handle on the target process: what the benchmark tells it and asks it."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from tests.performance import children
from tests.performance.children import BenchmarkError
from tests.performance.programs.target import Await, Command, Hold, Pass, Read, Release, Report

EVERYTHING = 1_000_000_000
SLICE_S = 0.5  # of a long wait: it must be possible to interrupt it and give another command


class Target:
    """A running target. Lanes are paths; see `programs.target` for what each command does."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.port = port
        self._process = process

    def url(self, lane: str) -> str:
        return f"http://127.0.0.1:{self.port}{lane}"

    def hold(self, lane: str) -> None:
        self._command(Hold(lane))

    def release(self, lane: str, count: int = EVERYTHING) -> Report:
        """Answer held requests; the report's `now_ns` is the moment after."""
        return self._command(Release(lane, count))

    def let_pass(self, lane: str) -> None:
        self._command(Pass(lane))

    def read(self, lane: str) -> Report:
        return self._command(Read(lane))

    def wait(self, lane: str, arrivals: int, timeout_s: float) -> Report:
        """Wait until the lane has had this many requests in all; BenchmarkError when that takes too long."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            report = self._command(Await(lane, arrivals, SLICE_S))
            if report.arrivals >= arrivals:
                return report
        reached = self.read(lane).arrivals
        raise BenchmarkError(f"only {reached:,} of {arrivals:,} requests reached {lane} in {timeout_s:.0f} s")

    def _command(self, command: Command) -> Report:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(msgspec.json.encode(command) + b"\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise BenchmarkError("the target process has ended")
        return msgspec.json.decode(line, type=Report)


@contextmanager
def running_target(folder: Path) -> Iterator[Target]:
    """A target that runs for the length of the block."""
    port = children.free_port()
    with children.running(children.program("target", port), folder / "target.log", piped=True) as process:
        target = Target(process, port)
        target.read("/")  # it answers once it listens
        yield target
