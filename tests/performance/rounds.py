"""Measures a thing and its limits in turns, so that a machine whose speed changes changes both.

A round is: each limit, then the thing. After the last round each limit is measured once more, so that every
measurement stands between two of its limit. Its ratio is to the mean of those two.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import mean
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Rounds(Generic[T]):
    """What was measured: one value for each round, and one more for each limit."""

    measured: list[T] = field(default_factory=list[T])
    limits: dict[str, list[T]] = field(default_factory=dict[str, list[T]])


def alternate(
    rounds: int,
    measure: Callable[[], T],
    limits: Mapping[str, Callable[[], T]],
    say: Callable[[str], None],
) -> Rounds[T]:
    """Measure `rounds` times, with every limit before, between and after. `say` is told what comes next."""
    result: Rounds[T] = Rounds(limits={name: [] for name in limits})
    for number in range(rounds + 1):
        for name, limit in limits.items():
            say(f"limit: {name}")
            result.limits[name].append(limit())
        if number < rounds:
            say(f"round {number + 1} of {rounds}")
            result.measured.append(measure())
    return result


def ratios(measured: Sequence[float], limit: Sequence[float]) -> list[float]:
    """Each value over the mean of the two limits around it."""
    return [value / mean(limit[number : number + 2]) for number, value in enumerate(measured)]
