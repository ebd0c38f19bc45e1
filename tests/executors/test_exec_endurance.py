"""What must hold however much a command prints, however many run, and whoever is killed."""

import asyncio
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import uvloop

from queue_server.domain.outcome import OutcomeKind
from queue_server.executors.exec import ExecExecutor
from queue_server.executors.launcher.processes import children_of
from tests.executors.builders import exec_job, executor, lives, pid_in, until

LOOPS = pytest.mark.parametrize("run_loop", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
MIB = 1024 * 1024


def launcher_of(started: ExecExecutor) -> int:
    """The pid of the launcher process."""
    assert started._launcher is not None
    return started._launcher.pid


@LOOPS
def test_a_gigabyte_of_output_takes_constant_memory(run_loop: Any) -> None:
    async def scenario() -> None:
        async with executor() as started:
            await started.run(exec_job("head -c 10000000 /dev/zero"))
            Path("/proc/self/clear_refs").write_text("5")  # forget the peak of earlier tests
            before = peak()
            outcome = await started.run(exec_job("head -c 1000000000 /dev/zero"))
            assert outcome.output.size == 1_000_000_000
            assert len(outcome.output.text) < 1.1 * MIB
            assert peak() - before < 32 * MIB

    run_loop(scenario())


def peak() -> int:
    """The most memory (VmHWM, proc(5)) that this process has had."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


@LOOPS
def test_a_thousand_runs_leave_no_descriptor_and_no_process(run_loop: Any) -> None:
    async def scenario() -> None:
        async with executor() as started:
            await runs(started, 10)
            before = descriptors(), descriptors(launcher_of(started))
            await runs(started, 1000)
            await until(lambda: (descriptors(), descriptors(launcher_of(started))) == before)
            await until(lambda: not children_of(launcher_of(started)))

    run_loop(asyncio.sleep(0))  # the first loop of uvloop opens two descriptors for good
    before = descriptors()
    run_loop(scenario())
    assert descriptors() == before
    assert not children_of(os.getpid())


async def runs(started: ExecExecutor, count: int) -> None:
    """Runs of all kinds: without input, with a short and a long one, not startable, with a long message."""
    commands: list[dict[str, Any]] = [
        {"args": ["true"]},
        {"args": ["cat"], "stdin": "input"},
        {"args": ["true"], "stdin": "x" * 100_000},
        {"args": ["no-such-program"]},
        {"args": ["true"] * 6_000},
    ]
    waiting = asyncio.Semaphore(20)

    async def run(number: int) -> None:
        async with waiting:
            await started.run(exec_job(**commands[number % len(commands)]))

    async with asyncio.TaskGroup() as group:
        for number in range(count):
            group.create_task(run(number))


def descriptors(pid: int | str = "self") -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


@LOOPS
def test_launcher_that_was_killed_fails_its_runs_and_is_started_again(run_loop: Any, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with executor() as started, asyncio.TaskGroup() as group:
            cmd = "echo $$ >leader; setsid -f sh -c 'echo $$ >escaped; exec sleep 1000'; sleep 1000"
            run = group.create_task(started.run(exec_job(cmd, cwd=str(tmp_path))))
            left = [await pid_in(tmp_path / "leader"), await pid_in(tmp_path / "escaped")]
            first = launcher_of(started)
            os.kill(first, signal.SIGKILL)
            outcome = await run
            assert outcome.kind is OutcomeKind.FAILED
            assert outcome.error == "the launcher process died (SIGKILL), and the command was killed with it"
            assert not any(map(lives, left))
            outcomes = await asyncio.gather(*(started.run(exec_job("echo again")) for _ in range(5)))
            assert {outcome.output.text for outcome in outcomes} == {b"again\n"}
            assert launcher_of(started) != first

    run_loop(scenario())


def test_launcher_that_hangs_is_given_up_at_the_timeout_and_killed_at_the_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("queue_server.executors.exec.KILL_PATIENCE_S", 0.1)
    monkeypatch.setattr("queue_server.executors.launcher.client.LEAVE_WITHIN_S", 0.1)

    async def scenario() -> int:
        async with executor(kill_after=0.1) as started, asyncio.TaskGroup() as group:
            cmd = "echo $$ >leader; sleep 1000"
            run = group.create_task(started.run(exec_job(cmd, cwd=str(tmp_path), timeout=1)))
            leader = await pid_in(tmp_path / "leader")
            os.kill(launcher_of(started), signal.SIGSTOP)
            outcome = await run
            assert outcome.kind is OutcomeKind.TIMED_OUT
            assert (outcome.error or "").endswith("SIGKILL, but has not ended yet")
            return leader

    leader = asyncio.run(scenario())
    assert not lives(leader)


SERVER = """
import asyncio, sys
from tests.executors.builders import exec_job, executor

async def scenario():
    async with executor() as started:
        await asyncio.gather(*(started.run(exec_job(cmd, cwd=sys.argv[1])) for cmd in sys.argv[2:]))

asyncio.run(scenario())
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_server_that_was_killed_leaves_no_process(number: int, tmp_path: Path) -> None:
    commands = {
        "asked": "exec 2>log; trap 'echo >cleaned; exit' TERM; echo $$ >asked; while :; do sleep 0.01; done",
        "stubborn": "trap '' TERM; echo $$ >stubborn; while :; do sleep 0.01; done",
        "escaped": "setsid -f sh -c 'trap \"\" TERM; echo $$ >escaped; exec sleep 99'; sleep 99",
    }
    command_line = [sys.executable, "-c", SERVER, str(tmp_path), *commands.values()]

    async def scenario() -> None:
        with subprocess.Popen(command_line, cwd=Path(__file__).parents[2]) as server:
            left = [await pid_in(tmp_path / name) for name in commands]
            left += children_of(server.pid)
            assert len(left) == 4
            server.send_signal(number)
        await until(lambda: not any(map(lives, left)))

    asyncio.run(scenario())
    assert (tmp_path / "cleaned").exists()


def test_run_fails_when_the_server_has_no_descriptors_left() -> None:
    async def scenario() -> None:
        async with executor() as started:
            soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))  # those that are open stay open
            try:
                outcome = await started.run(exec_job("true"))
            finally:
                resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            assert outcome.kind is OutcomeKind.FAILED
            assert "Too many open files" in (outcome.error or "")
            assert (await started.run(exec_job("true"))).kind is OutcomeKind.SUCCEEDED

    asyncio.run(scenario())
