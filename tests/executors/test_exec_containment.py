"""Nothing that a command starts outlives it, however it tries: bombs, daemons, cleared environments."""

import asyncio
import time
from pathlib import Path

import pytest

from queue_server.domain.outcome import OutcomeKind
from tests.executors.builders import exec_job, executor, until
from tests.executors.guarded import PYTHON, ROOM, STRANGER, open_folder, processes_with, rules

GONE_WITHIN_S = 5.0

BOMB = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
deadline = time.monotonic() + 20
forks = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
while time.monotonic() < deadline and os.fstat(forks).st_size < 10000:
    try:
        child = os.fork()
    except OSError:
        time.sleep(0.001)
        continue
    if child == 0:
        os.write(forks, b".")
        if os.fstat(forks).st_size % 2:
            os.setsid()
while time.monotonic() < deadline:
    time.sleep(0.1)
"""
"""Ends itself after 10,000 forks or 20 s, whatever happens to the test."""

DAEMON = """
import os, sys, time
for _ in range(2):
    if os.fork():
        os._exit(0)
    os.setsid()
for descriptor in range(3):
    os.close(descriptor)
open(sys.argv[1], "w").write("ready")
time.sleep(30)
"""
"""Forks twice, leads a session of its own, and holds none of the streams."""

EMPTIED = "import os, sys; os.execve(sys.executable, [sys.executable, *sys.argv[1:]], {})"
"""Runs another script with an empty environment."""


async def gone(words: str, within_s: float = GONE_WITHIN_S) -> float:
    """Wait until no such process is left; how long that took."""
    begin = time.monotonic()
    await until(lambda: not processes_with(words), within_s)
    return time.monotonic() - begin


@pytest.mark.parametrize("end", ["timeout", "cancel"])
def test_fork_bomb_is_bounded_and_leaves_nothing(end: str) -> None:
    async def scenario(folder: Path) -> None:
        bomb = folder / "bomb.py"
        bomb.write_text(BOMB)
        async with executor(kill_after=0.5, rules=rules(run_as=STRANGER, processes=ROOM)) as started:
            job = exec_job(args=[PYTHON, str(bomb), str(folder / "forks")], timeout=1.5 if end == "timeout" else 60)
            run = asyncio.ensure_future(started.run(job))
            await until(lambda: len(processes_with(str(bomb))) > 20)
            if end == "cancel":
                run.cancel()
            done = (await asyncio.gather(run, return_exceptions=True))[0]
            took = await gone(str(bomb))
            assert took < GONE_WITHIN_S
            if end == "timeout":
                assert done.kind is OutcomeKind.TIMED_OUT
            forks = (folder / "forks").stat().st_size
            print(f"{forks} forks, gone {took:.2f} s after the end")
            assert forks < 10_000, "it was not killed: it had enough"
            assert (await started.run(exec_job("echo well"))).output.text == b"well\n"

    with open_folder() as folder:
        asyncio.run(scenario(folder))


@pytest.mark.parametrize("is_emptied", [False, True], ids=["marked", "with_an_empty_environment"])
@pytest.mark.parametrize("is_busy", [False, True], ids=["alone", "beside_another_run"])
def test_daemon_ends_with_the_command_that_started_it(tmp_path: Path, is_emptied: bool, is_busy: bool) -> None:
    daemon = tmp_path / "daemon.py"
    daemon.write_text(DAEMON)
    ready = tmp_path / "ready"
    command = [PYTHON, *(["-c", EMPTIED] if is_emptied else []), str(daemon), str(ready)]

    async def scenario() -> None:
        async with executor() as started, asyncio.TaskGroup() as group:
            other = group.create_task(started.run(exec_job("sleep 1000" if is_busy else "true")))
            wait = 'until [ -s "$0" ]; do sleep 0.01; done'
            outcome = await started.run(exec_job(args=["sh", "-c", f'"$@"; {wait}', str(ready), *command]))
            assert outcome.kind is OutcomeKind.SUCCEEDED
            assert await gone(str(daemon)) < GONE_WITHIN_S
            assert not other.done() or not is_busy
            other.cancel()

    asyncio.run(scenario())


def test_daemon_of_a_cancelled_command_that_ignores_sigterm_is_gone(tmp_path: Path) -> None:
    daemon = tmp_path / "daemon.py"
    daemon.write_text(DAEMON)

    async def scenario() -> None:
        async with executor() as started:
            cmd = f"trap '' TERM; {PYTHON} {daemon} ready; while :; do sleep 0.05; done"
            run = asyncio.ensure_future(started.run(exec_job(cmd, cwd=str(tmp_path))))
            await until((tmp_path / "ready").exists)
            run.cancel()
            await asyncio.gather(run, return_exceptions=True)
            assert await gone(str(daemon)) < GONE_WITHIN_S

    asyncio.run(scenario())


def test_tree_of_an_escaped_process_dies_with_it(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.write_text("#!/bin/sh\n[ $1 -gt 0 ] && setsid $0 $(($1 - 1)) &\necho >>grown; sleep 30; true\n")
    tree.chmod(0o755)

    async def scenario() -> None:
        async with executor() as started:
            cmd = f"setsid -f {tree} 9; until [ $(wc -l <grown) -eq 10 ]; do sleep 0.01; done 2>/dev/null"
            await started.run(exec_job(cmd, cwd=str(tmp_path)))
            assert await gone(str(tree)) < 1

    asyncio.run(scenario())
