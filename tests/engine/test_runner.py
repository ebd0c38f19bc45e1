"""From a run to a decision: what becomes of what it told, of its deadline, and of wishes to cancel it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from queue_server.domain.command import HttpCommand
from queue_server.domain.job import Job
from queue_server.domain.lifecycle import Transition
from queue_server.domain.outcome import NO_OUTPUT, Outcome, OutcomeKind, Output, Timings
from queue_server.domain.state import State
from queue_server.engine.runner import Runner
from queue_server.executors.contract import RunCancelled
from tests.builders.jobs import NOW, SECOND, job, outcome, plan

PARTIAL = Output(b"so far", b"err", size=6, error_size=3)
TIMINGS = Timings(5, 7)
Action = Callable[[], Awaitable[Outcome]]


class StoppedClock:
    """It is always the same moment."""

    def now(self) -> int:
        return NOW

    def monotonic(self) -> float:
        return 0.0


class Scripted:
    """Does in each run what the test says."""

    def __init__(self, action: Action) -> None:
        self._action = action
        self.runs: list[float | None] = []
        self.is_running = asyncio.Event()

    async def run(self, _job: Job, time_left: float | None = None) -> Outcome:
        self.runs.append(time_left)
        self.is_running.set()
        return await self._action()


class Lines:
    """A log that keeps its errors."""

    def __init__(self) -> None:
        self.errors: list[str] = []

    def exception(self, event: str, **_fields: Any) -> None:
        self.errors.append(event)


class Stage:
    """A runner, its executor, and what was decided."""

    def __init__(self, action: Action) -> None:
        self.executor, self.log = Scripted(action), Lines()
        self.decisions: list[tuple[Job, Transition]] = []
        self.runner = Runner({HttpCommand: self.executor}, StoppedClock(), lambda: 0.5, self.log)
        self.runner.on_decision(lambda job, change: self.decisions.append((job, change)))

    async def decision(self) -> Transition:
        assert await self.runner.wait_idle(10)
        ((_, change),) = self.decisions
        return change


async def succeed() -> Outcome:
    return outcome(exit_code=200)


async def hang() -> Outcome:
    """Until it is cancelled; by then it has told something."""
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        raise RunCancelled(PARTIAL, TIMINGS) from None
    raise AssertionError


async def hang_in_silence() -> Outcome:
    await asyncio.Event().wait()
    raise AssertionError


def on_stage(action: Action, scenario: Callable[[Stage], Awaitable[None]]) -> None:
    async def run() -> None:
        await scenario(Stage(action))

    asyncio.run(run())


def test_cancelled_run_keeps_what_it_told() -> None:
    async def scenario(stage: Stage) -> None:
        stage.runner.start(job())
        await stage.executor.is_running.wait()
        stage.runner.cancel(7, 1)
        change = await stage.decision()
        assert (change.state, change.reason) == (State.CANCELLED, "cancelled on request")
        assert change.attempt is not None
        assert change.attempt.outcome is OutcomeKind.CANCELLED
        assert (change.attempt.output, change.attempt.timings) == (PARTIAL, TIMINGS)

    on_stage(hang, scenario)


def test_interrupted_run_keeps_what_it_told_and_is_given_back() -> None:
    async def scenario(stage: Stage) -> None:
        stage.runner.start(job())
        await stage.executor.is_running.wait()
        assert stage.runner.interrupt_all() == 1
        change = await stage.decision()
        assert (change.state, change.refunded) == (State.AVAILABLE, 1)
        assert change.attempt is not None
        assert change.attempt.outcome is OutcomeKind.INTERRUPTED
        assert (change.attempt.output, change.attempt.timings) == (PARTIAL, TIMINGS)

    on_stage(hang, scenario)


def test_run_that_had_not_begun_has_no_output() -> None:
    async def scenario(stage: Stage) -> None:
        stage.runner.start(job())
        await stage.executor.is_running.wait()
        stage.runner.interrupt_all()
        attempt = (await stage.decision()).attempt
        assert attempt is not None
        assert (attempt.outcome, attempt.output) == (OutcomeKind.INTERRUPTED, NO_OUTPUT)

    on_stage(hang_in_silence, scenario)


def test_run_that_is_interrupted_as_it_starts_is_given_back() -> None:
    """Its task has not begun by then."""

    async def scenario(stage: Stage) -> None:
        stage.runner.start(job())
        stage.runner.interrupt_all()
        assert (await stage.decision()).state is State.AVAILABLE

    on_stage(hang_in_silence, scenario)


def test_wish_that_comes_before_its_claim_ends_the_run_as_it_starts() -> None:
    async def scenario(stage: Stage) -> None:
        stage.runner.cancel(7, 1)
        stage.runner.cancel(7, 2)  # of another claim
        stage.runner.start(job())
        assert (await stage.decision()).state is State.CANCELLED
        assert stage.executor.runs == []

    on_stage(succeed, scenario)


def test_wish_of_another_claim_is_none() -> None:
    async def scenario(stage: Stage) -> None:
        stage.runner.cancel(7, 2)
        stage.runner.start(job())
        assert (await stage.decision()).state is State.COMPLETED

    on_stage(succeed, scenario)


def test_run_without_a_deadline_is_not_limited() -> None:
    async def scenario(stage: Stage) -> None:
        stage.runner.start(job())
        assert (await stage.decision()).state is State.COMPLETED
        assert stage.executor.runs == [None]

    on_stage(succeed, scenario)


def test_run_is_told_the_time_that_is_left_until_the_deadline() -> None:
    async def scenario(stage: Stage) -> None:
        stage.runner.start(job(plan=plan(deadline=NOW + 5 * SECOND // 2)))
        await stage.decision()
        assert stage.executor.runs == [2.5]

    on_stage(succeed, scenario)


@pytest.mark.parametrize("ago", [0, 1, SECOND])
def test_run_whose_deadline_has_passed_times_out_without_being_sent(ago: int) -> None:
    async def scenario(stage: Stage) -> None:
        stage.runner.start(job(plan=plan(deadline=NOW - ago)))
        change = await stage.decision()
        assert stage.executor.runs == []
        assert change.state is State.FAILED
        assert change.attempt is not None
        assert change.attempt.outcome is OutcomeKind.TIMED_OUT
        assert change.attempt.error is not None
        assert change.attempt.error.startswith("its deadline, 20")
        assert change.attempt.error.endswith("Z, had passed before it started")

    on_stage(succeed, scenario)


def test_continued_run_leaves_the_job_running_and_ends_here() -> None:
    async def accepted() -> Outcome:
        return outcome(OutcomeKind.CONTINUED, exit_code=202, heartbeat=30.0)

    async def scenario(stage: Stage) -> None:
        stage.runner.start(job())
        change = await stage.decision()
        assert change.continues
        assert change.overdue_at == NOW + 30 * SECOND
        assert change.attempt is None

    on_stage(accepted, scenario)


def test_mistake_of_an_executor_fails_its_job_only_and_is_logged() -> None:
    async def mistake() -> Outcome:
        raise RuntimeError("oops")

    async def scenario(stage: Stage) -> None:
        stage.runner.start(job())
        change = await stage.decision()
        assert change.state is State.FAILED
        assert change.reason == "internal error: RuntimeError: oops"
        assert stage.log.errors == ["an executor failed; this is a bug, please report it"]

    on_stage(mistake, scenario)
