"""A figure: what was measured, the limit beside it, and what it should be."""

from collections.abc import Callable, Sequence
from statistics import median
from typing import TypeVar

import msgspec

from tests.performance.rounds import Rounds, ratios

T = TypeVar("T")


class Goal(msgspec.Struct, frozen=True):
    """What a figure should reach. Without any bound it is only reported."""

    ratio_at_least: float | None = None
    at_least: float | None = None
    at_most: float | None = None


NO_GOAL = Goal()


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the report. `name` ends with the unit; lists hold one value for each round."""

    name: str
    title: str
    unit: str
    measured: list[float]
    limit_title: str | None = None
    limit: list[float] = []
    ratios: list[float] = []
    goal: Goal = NO_GOAL
    waiting: int = 0

    @property
    def value(self) -> float:
        return median(self.measured)

    @property
    def ratio(self) -> float | None:
        return median(self.ratios) if self.ratios else None

    def misses(self) -> list[str]:
        """Which bounds of the goal are missed."""
        goal, ratio = self.goal, self.ratio
        bounds = {
            "ratio": goal.ratio_at_least is None or ratio is None or ratio >= goal.ratio_at_least,
            "rate": goal.at_least is None or self.value >= goal.at_least,
            "value": goal.at_most is None or self.value <= goal.at_most,
        }
        return [name for name, reached in bounds.items() if not reached]


def beside(
    rounds: Rounds[T],
    limit: str,
    value: Callable[[T], float],
    *,
    name: str,
    title: str,
    unit: str = "/s",
    goal: Goal = NO_GOAL,
) -> Figure:
    """The figure of what was measured in rounds beside one of its limits."""
    measured, bare = [*map(value, rounds.measured)], [*map(value, rounds.limits[limit])]
    return Figure(
        name=name,
        title=title,
        unit=unit,
        measured=measured,
        limit_title=limit,
        limit=bare,
        ratios=ratios(measured, bare) if all(bare) else [],
        goal=goal,
    )


def alone(name: str, title: str, unit: str, measured: Sequence[float], goal: Goal = NO_GOAL) -> Figure:
    """A figure that has no limit but its goal."""
    return Figure(name=name, title=title, unit=unit, measured=[*measured], goal=goal)
