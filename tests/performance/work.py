"""How much was done in how much time: what every program and every measurement reports."""

import sys

import msgspec


class Work(msgspec.Struct, frozen=True):
    """An amount of requests, rows or jobs, the seconds it took, and the CPU seconds it cost."""

    amount: int
    seconds: float
    cpu_s: float = 0.0
    failed: int = 0

    @property
    def per_s(self) -> float:
        return self.amount / self.seconds if self.seconds else 0.0

    @property
    def cpu_s_per_1000(self) -> float:
        return 1000 * self.cpu_s / self.amount if self.amount else 0.0


def hand_in(work: Work) -> None:
    """Report the work of this program to the one that started it."""
    sys.stdout.buffer.write(msgspec.json.encode(work) + b"\n")


def read(output: bytes) -> Work:
    """The work that a program handed in as the last line of its output; msgspec.DecodeError if none."""
    return msgspec.json.decode(output.strip().rpartition(b"\n")[2], type=Work)
