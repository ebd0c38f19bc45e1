"""What works beside the servers under test and is never killed: a producer, a target, and a target for callbacks."""

import os
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.waiting import until

ROOT = Path(__file__).parents[2]
SEED = "CHAOS_SEED"


@dataclass(frozen=True)
class Load:
    """Recorders that listen, with their logs `target` and `callback` in a folder."""

    folder: Path
    target: int
    callback: int

    @contextmanager
    def on(self, servers: Sequence[int], rate: float = 0) -> Iterator[None]:
        """Add jobs on these ports, `rate` a second (0 for as many as are taken), with the log `producer`."""
        arguments = (self.folder / "producer", self.target, self.callback, rate, *servers)
        with _program("producer", *map(str, arguments)):
            yield

    def seen(self) -> int:
        """How many requests the target has seen."""
        log = self.folder / "target"
        return log.read_bytes().count(b"\n") if log.exists() else 0

    def wait_for_work(self, more: int, within_s: float = 60) -> None:
        """Wait until the target has seen so many more requests."""
        wanted = self.seen() + more
        until(lambda: self.seen() >= wanted, within_s, f"{more} more requests at the target")


@contextmanager
def recorders(folder: Path, target_delay: float = 0.0) -> Iterator[Load]:
    """A target that takes `target_delay` seconds for each request, and one for callbacks."""
    with _recorder(folder / "target", target_delay) as target, _recorder(folder / "callback", 0) as callback:
        yield Load(folder, target, callback)


def seeded_chance() -> random.Random:
    """The chance of a run: CHAOS_SEED replays one."""
    seed = int(os.environ.get(SEED) or random.SystemRandom().randrange(2**32))
    print(f"{SEED}={seed}")
    return random.Random(seed)


def rounds(variable: str, default: int) -> int:
    """How often a test strikes: as often as an environment variable says."""
    return int(os.environ.get(variable) or default)


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
