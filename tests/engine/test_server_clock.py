"""All nodes of a database agree on its time, and no answer makes it jump that need not."""

import pytest

from queue_server import clock as clock_module
from queue_server.clock import ServerClock

HOUR = 3_600_000_000


class Steady:
    """The machine's steady clock, set by hand."""

    def __init__(self) -> None:
        self.time = 1_000_000

    def __call__(self) -> int:
        return self.time


@pytest.fixture
def steady(monkeypatch: pytest.MonkeyPatch) -> Steady:
    steady = Steady()
    monkeypatch.setattr(clock_module, "_steady_us", steady)
    return steady


def answer(clock: ServerClock, steady: Steady, told: int, took: int) -> None:
    asked_at = steady.time
    steady.time += took
    clock.follow(told, asked_at)


def test_time_is_the_databases_and_goes_on_between_answers(steady: Steady) -> None:
    clock = ServerClock()
    answer(clock, steady, told=HOUR, took=1000)
    assert clock.now() == HOUR + 500
    steady.time += 7
    assert clock.now() == HOUR + 507


def test_answers_that_fit_what_is_known_change_nothing(steady: Steady) -> None:
    clock = ServerClock()
    answer(clock, steady, told=HOUR, took=1000)
    before = clock.now() - steady.time
    for late in (0, 400, 5_000_000):
        told = clock.now() + late // 2
        answer(clock, steady, told, took=late)
        assert clock.now() - steady.time == before


@pytest.mark.parametrize(("told", "seen"), [(5 * HOUR, 5 * HOUR), (HOUR, HOUR + 1000)])
def test_database_whose_time_jumps_is_followed_as_far_as_is_certain(steady: Steady, told: int, seen: int) -> None:
    clock = ServerClock()
    answer(clock, steady, told=3 * HOUR, took=0)
    answer(clock, steady, told, took=1000)
    assert clock.now() == seen
