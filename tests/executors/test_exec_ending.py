"""How commands are ended: at their timeout, when cancelled, and all that they left with them."""

import asyncio
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import uvloop

from queue_server.domain.outcome import OutcomeKind
from tests.executors.builders import exec_job, executor, lives, outcome_of, pid_in, until

LOOPS = pytest.mark.parametrize("run_loop", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
STUBBORN = "trap '' TERM; sleep 1000 & echo $! >child; echo $$ >leader; while :; do wait; done"
"""Ignores SIGTERM, and so does its child."""


def test_timeout_asks_the_command_to_end_and_keeps_its_output() -> None:
    cmd = "trap 'echo cleaned up; exit 5' TERM; echo started; while :; do sleep 0.01; done"
    outcome = outcome_of(cmd, timeout=0.2)
    assert (outcome.kind, outcome.exit_code) == (OutcomeKind.TIMED_OUT, 5)
    assert outcome.error == "timed out after 0.2 s; the process group was sent SIGTERM"
    assert outcome.output.text == b"started\ncleaned up\n"


def test_timeout_of_the_executor_counts_when_the_command_has_none() -> None:
    outcome = outcome_of("sleep 1000", settings={"default_timeout": 0.05})
    assert (outcome.kind, outcome.signal, outcome.exit_code) == (OutcomeKind.TIMED_OUT, "SIGTERM", 143)


def test_timeout_kills_a_command_that_ignores_sigterm_and_its_children(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with executor(kill_after=0.1) as started:
            outcome = await started.run(exec_job(STUBBORN, cwd=str(tmp_path), timeout=0.3))
            assert (outcome.kind, outcome.signal) == (OutcomeKind.TIMED_OUT, "SIGKILL")
            assert outcome.error == (
                "timed out after 0.3 s; the process group was sent SIGTERM and, 0.1 s later, SIGKILL"
            )
            child = await pid_in(tmp_path / "child")
            await until(lambda: not lives(child))

    asyncio.run(scenario())


def test_timeout_reaches_the_children_of_the_shell(tmp_path: Path) -> None:
    outcome = outcome_of("(trap 'echo told' TERM; sleep 1000 & wait) & wait", timeout=0.2)
    assert outcome.kind is OutcomeKind.TIMED_OUT


def test_background_child_does_not_hold_up_the_end() -> None:
    begin = time.monotonic()
    outcome = outcome_of("sleep 1000 & echo $!")
    assert outcome.kind is OutcomeKind.SUCCEEDED
    assert not lives(int(outcome.output.text))
    assert time.monotonic() - begin < 5


def test_background_child_that_writes_on_does_not_hold_up_the_end() -> None:
    outcome = outcome_of("yes & head -c 100000 /dev/zero >&2")
    assert outcome.output.error_size == 100_000


def escape(way: str, file: str = "escaped") -> str:
    """A command that leaves a process in another session or group."""
    return f"{way} sh -c 'echo $$ >{file}; exec sleep 1000' & until [ -s {file} ]; do sleep 0.01; done"


@pytest.mark.parametrize("way", ["setsid", "setsid -f", "set -m;", "setsid setsid -f", "setsid -f env -i"])
@pytest.mark.parametrize("is_busy", [False, True], ids=["alone", "beside_another_run"])
def test_escaped_process_is_killed_when_its_run_ends(tmp_path: Path, way: str, is_busy: bool) -> None:
    async def scenario() -> None:
        async with executor() as started, asyncio.TaskGroup() as group:
            other = group.create_task(started.run(exec_job("sleep 1000" if is_busy else "true")))
            outcome = await started.run(exec_job(escape(way), cwd=str(tmp_path)))
            assert outcome.kind is OutcomeKind.SUCCEEDED
            escaped = await pid_in(tmp_path / "escaped")
            await until(lambda: not lives(escaped))
            other.cancel()

    asyncio.run(scenario())


def test_escaped_process_lives_as_long_as_its_run(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with executor() as started, asyncio.TaskGroup() as group:
            cmd = escape("setsid -f") + "; until [ -e leave ]; do sleep 0.01; done"
            run = group.create_task(started.run(exec_job(cmd, cwd=str(tmp_path))))
            escaped = await pid_in(tmp_path / "escaped")
            for _ in range(3):
                await started.run(exec_job(escape("setsid -f", "other"), cwd=str(tmp_path)))
                other = await pid_in(tmp_path / "other")
                await until(lambda other=other: not lives(other))
                (tmp_path / "other").unlink()
            assert lives(escaped)
            (tmp_path / "leave").touch()
            await run
            await until(lambda: not lives(escaped))

    asyncio.run(scenario())


def test_process_that_clears_its_environment_still_belongs_to_its_run(tmp_path: Path) -> None:
    """It neither outlives its own run for another one that is under way, nor dies for another one that ends."""

    async def scenario() -> None:
        async with executor() as started, asyncio.TaskGroup() as group:
            other = group.create_task(started.run(exec_job("sleep 1000")))
            cmd = escape("setsid -f env -i") + "; until [ -e leave ]; do sleep 0.01; done"
            run = group.create_task(started.run(exec_job(cmd, cwd=str(tmp_path))))
            escaped = await pid_in(tmp_path / "escaped")
            for _ in range(3):
                await started.run(exec_job("setsid -f sleep 0.1; sleep 0.2"))
            assert lives(escaped)
            (tmp_path / "leave").touch()
            await run
            await until(lambda: not lives(escaped))
            other.cancel()

    asyncio.run(scenario())


def test_processes_that_go_on_forking_into_new_sessions_are_all_killed(tmp_path: Path) -> None:
    """Each one starts its successor in a new session and ends: no list of processes is complete."""
    script = tmp_path / "hydra"
    script.write_text(f"#!/bin/sh\necho $$ >>{tmp_path}/seen\nsetsid -f $0\n")
    script.chmod(0o755)

    async def scenario() -> None:
        async with executor() as started:
            cmd = f"{script}; until [ $(wc -l <seen) -gt 5 ]; do sleep 0.01; done"
            outcome = await started.run(exec_job(cmd, cwd=str(tmp_path)))
            assert outcome.kind is OutcomeKind.SUCCEEDED
            await until(lambda: not any(hydras(script) for _ in range(10)))

    asyncio.run(scenario())
    assert not hydras(script)


def hydras(script: Path) -> list[str]:
    return [line.name for line in Path("/proc").iterdir() if line.name.isdigit() and str(script) in command_line(line)]


def command_line(process: Path) -> str:
    try:
        return (process / "cmdline").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


@LOOPS
def test_cancelled_run_is_asked_to_end_and_is_gone_when_cancelled_error_comes(run_loop: Any, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with executor() as started:
            cmd = "trap 'echo >cleaned; exit' TERM; echo $$ >leader; while :; do sleep 0.01; done"
            leader = await cancel_when_started(started.run(exec_job(cmd, cwd=str(tmp_path))), tmp_path)
            assert not lives(leader)
            assert (tmp_path / "cleaned").exists()

    run_loop(scenario())


@LOOPS
def test_cancelled_run_that_ignores_sigterm_is_killed_with_its_children(run_loop: Any, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with executor() as started:
            leader = await cancel_when_started(started.run(exec_job(STUBBORN, cwd=str(tmp_path))), tmp_path)
            assert not lives(leader)
            child = await pid_in(tmp_path / "child")
            await until(lambda: not lives(child))

    run_loop(scenario())


async def cancel_when_started(run: Any, folder: Path) -> int:
    task = asyncio.ensure_future(run)
    leader = await pid_in(folder / "leader")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return leader


def test_second_cancellation_kills_at_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with executor() as started:
            task = asyncio.ensure_future(started.run(exec_job(STUBBORN, cwd=str(tmp_path))))
            leader = await pid_in(tmp_path / "leader")
            begin = time.monotonic()
            task.cancel()
            await asyncio.sleep(0)  # let it begin to wait for the end
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert not lives(leader)
            assert time.monotonic() - begin < 0.9

    asyncio.run(scenario())


@pytest.mark.parametrize("is_before", [True, False], ids=["before", "after"])
def test_kill_at_once_takes_the_patience_out_of_cancellation(tmp_path: Path, is_before: bool) -> None:
    async def scenario() -> None:
        async with executor() as started:
            task = asyncio.ensure_future(started.run(exec_job(STUBBORN, cwd=str(tmp_path))))
            leader = await pid_in(tmp_path / "leader")
            begin = time.monotonic()
            if is_before:
                started.kill_at_once()
            task.cancel()
            await asyncio.sleep(0)
            started.kill_at_once()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert not lives(leader)
            assert time.monotonic() - begin < 0.9

    asyncio.run(scenario())


def test_cancellation_during_the_wait_after_a_timeout_ends_the_run(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with executor(kill_after=60) as started:
            cmd = "trap 'echo >told' TERM; echo $$ >leader; while :; do sleep 0.01; done"
            task = asyncio.ensure_future(started.run(exec_job(cmd, cwd=str(tmp_path), timeout=0.3)))
            leader = await pid_in(tmp_path / "leader")
            await until((tmp_path / "told").exists)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert not lives(leader)

    asyncio.run(scenario())


def test_cancellation_before_the_start_leaves_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with executor() as started:
            task = asyncio.ensure_future(started.run(exec_job("echo $$ >leader; sleep 1000", cwd=str(tmp_path))))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(scenario())
    if (tmp_path / "leader").exists():
        assert not lives(int((tmp_path / "leader").read_text()))


def test_stopped_command_is_killed_at_its_timeout() -> None:
    outcome = outcome_of("kill -STOP $$", timeout=0.1, settings={"kill_after": 0.1})
    assert (outcome.kind, outcome.signal) == (OutcomeKind.TIMED_OUT, signal.SIGKILL.name)
