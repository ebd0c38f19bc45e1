"""Which limit a run has: its own timeout, or what is left until the job's deadline."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from queue_server.domain.command import ExecCommand
from queue_server.domain.job import Job, Plan
from queue_server.domain.outcome import Outcome, OutcomeKind
from tests.executors.builders import exec_job, executor, http_executor, http_job
from tests.executors.http_client.lab import Visit, always, target

DEADLINE = 1_763_976_600_000_000
PASSED = "its deadline, 2025-11-24T09:30:00.000000Z, passed"


async def silent(visit: Visit) -> None:
    await visit.request()
    await visit.end()


def command_job(cmd: str, **command: Any) -> Job:
    return exec_job(job={"plan": Plan(command=ExecCommand(cmd=cmd, **command), deadline=DEADLINE)})


async def outcome_of_request(url: str, time_left: float, **command: Any) -> Outcome:
    async with http_executor(default_timeout=30.0) as made:
        return await made.run(http_job(url, plan={"deadline": DEADLINE}, **command), time_left)


async def test_request_ends_at_the_deadline_where_that_comes_before_its_timeout() -> None:
    begin = time.monotonic()
    async with target(silent) as place:
        outcome = await outcome_of_request(place.url, 0.1, timeout=20)
    assert time.monotonic() - begin < 10
    assert outcome.kind is OutcomeKind.TIMED_OUT
    assert outcome.error == (
        f"{PASSED}: timed out after 0.1 s while waiting for the response of 127.0.0.1:{place.port}"
    )


async def test_request_ends_at_its_timeout_where_that_comes_before_the_deadline() -> None:
    async with target(silent) as place:
        outcome = await outcome_of_request(place.url, 20, timeout=0.1)
    assert outcome.kind is OutcomeKind.TIMED_OUT
    assert outcome.error == f"timed out after 0.1 s while waiting for the response of 127.0.0.1:{place.port}"


@pytest.mark.parametrize(("connect_timeout", "is_deadline"), [(0.05, False), (5.0, True)])
async def test_deadline_is_blamed_for_a_connection_only_where_it_came_first(
    connect_timeout: float, is_deadline: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with target(silent) as place, http_executor(connect_timeout=connect_timeout) as made:
        monkeypatch.setattr(made._client._pool, "_connect_to_any", never)
        outcome = await made.run(http_job(place.url, plan={"deadline": DEADLINE}), 0.2)
    assert outcome.kind is OutcomeKind.TIMED_OUT
    assert outcome.error is not None
    assert outcome.error.startswith(PASSED) is is_deadline
    assert outcome.error.endswith(f"timed out while connecting to 127.0.0.1:{place.port}")


async def never(*_: object) -> None:
    await asyncio.Event().wait()


async def test_request_that_ends_before_the_deadline_is_not_touched_by_it() -> None:
    async with target(always()) as place:
        assert (await outcome_of_request(place.url, 20)).kind is OutcomeKind.SUCCEEDED


async def test_command_ends_at_the_deadline_where_that_comes_before_its_timeout() -> None:
    async with executor() as made:
        outcome = await made.run(command_job("echo hi; exec sleep 60", timeout=50), 0.3)
    assert outcome.kind is OutcomeKind.TIMED_OUT
    assert outcome.error == f"{PASSED}; the process group was sent SIGTERM"
    assert outcome.output.text == b"hi\n"


async def test_command_ends_at_its_timeout_where_that_comes_before_the_deadline() -> None:
    async with executor() as made:
        outcome = await made.run(command_job("exec sleep 60", timeout=0.1), 50)
    assert outcome.error == "timed out after 0.1 s; the process group was sent SIGTERM"


async def test_command_that_waited_for_its_place_past_the_deadline_is_not_started(tmp_path: Path) -> None:
    async with executor(places=1) as made:
        first = asyncio.ensure_future(made.run(exec_job("until [ -e go ]; do sleep 0.01; done", cwd=str(tmp_path))))
        await asyncio.sleep(0)
        second = asyncio.ensure_future(made.run(command_job("touch started", cwd=str(tmp_path)), 0.001))
        await asyncio.sleep(0.01)
        (tmp_path / "go").touch()
        outcome = await second
        await first
    assert outcome.kind is OutcomeKind.TIMED_OUT
    assert outcome.error == f"{PASSED} before it could be started"
    assert not (tmp_path / "started").exists()
