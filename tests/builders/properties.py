"""Properties: what holds for every example that hypothesis can think of.

    @for_all(st.integers(), st.text())
    def test_something_holds_for_any_pair(number, text): ...

Each property is two tests: a quick one with few examples, and one marked `long` with many.
"""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

QUICK, LONG = 60, 3000

Check = Callable[..., None]


def for_all(*strategies: Any, quick: int = QUICK, long: int = LONG) -> Callable[[Check], Check]:
    """Make a property of a function: its arguments come from `strategies`."""

    def decorate(check: Check) -> Check:
        @pytest.mark.parametrize(
            "examples", [pytest.param(quick, id="quick"), pytest.param(long, id="many", marks=pytest.mark.long)]
        )
        @pytest.mark.timeout(900)
        def test(examples: int) -> None:
            limits(examples)(given(*strategies)(check))()

        test.__name__, test.__doc__, test.__module__ = check.__name__, check.__doc__, check.__module__
        return test

    return decorate


def limits(examples: int, **others: Any) -> settings:
    """How hypothesis works here: no deadline, as the machine may be busy, and no complaint about slow examples."""
    return settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), **others)
