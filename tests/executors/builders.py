"""Jobs, executors and facts about processes as the tests of executors need them."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from queue_server.clock import SystemClock
from queue_server.domain.command import ExecCommand, HttpCommand
from queue_server.domain.job import Job, Plan, Report
from queue_server.domain.outcome import Outcome
from queue_server.domain.state import State
from queue_server.domain.targets import Surroundings, Targets, read_limits
from queue_server.executors.exec import ExecExecutor
from queue_server.executors.http import HttpExecutor
from queue_server.vault.kept import Kept
from queue_server.vault.keys import Keys
from queue_server.vault.revealing import Revealer
from queue_server.vault.sealing import Vault


def exec_job(cmd: str | None = None, *, job: dict[str, Any] | None = None, **command: Any) -> Job:
    """A claimed job that runs this command; `job` has other members of the job."""
    members: dict[str, Any] = {
        "id": 7,
        "state": State.RUNNING,
        "claim_seq": 3,
        "attempt": 2,
        "refunded": 0,
        "losses": 0,
        "priority": 500,
        "context": "default",
        "created_at": 0,
        "claimed_at": 0,
        "node_id": 1,
        "plan": Plan(command=ExecCommand(cmd=cmd, **command)),
    }
    return Job(**(members | (job or {})))


def http_job(url: str, *, job: dict[str, Any] | None = None, plan: dict[str, Any] | None = None, **command: Any) -> Job:
    """A claimed job that sends this request; `job` and `plan` have other members of these."""
    return exec_job(job={"plan": Plan(command=HttpCommand(url=url, **command), **(plan or {}))} | (job or {}))


def callback_job(cmd: str, report: Report) -> Job:
    """A claimed callback that reports another job's end."""
    return exec_job(job={"plan": Plan(command=ExecCommand(cmd=cmd), report=report)})


def no_secrets() -> Revealer:
    """Opens secrets; there are none."""
    vault = Vault(Keys("", Path("/nowhere.key")))
    return Revealer(vault, Kept(vault))


@asynccontextmanager
async def executor(**settings: Any) -> AsyncIterator[ExecExecutor]:
    """A started executor, stopped at the end."""
    started = ExecExecutor(
        **({"output_limit": 1024 * 1024, "default_timeout": 60.0, "revealer": no_secrets()} | settings)
    )
    await started.start()
    try:
        yield started
    finally:
        await started.stop()


@asynccontextmanager
async def http_executor(**settings: Any) -> AsyncIterator[HttpExecutor]:
    """A started executor of requests, stopped at the end."""
    defaults = {"version": "0", "output_limit": 1024 * 1024, "default_timeout": 60.0, "connect_timeout": 5.0}
    around = {
        "now": SystemClock().now,
        "revealer": no_secrets(),
        "targets": Targets(read_limits("internal", (), ()), Surroundings()),
    }
    started = HttpExecutor(**(defaults | around | settings))
    await started.start()
    try:
        yield started
    finally:
        await started.stop()


def outcome_of(cmd: str | None = None, *, settings: dict[str, Any] | None = None, **command: Any) -> Outcome:
    """Run one command in an executor of its own."""

    async def run() -> Outcome:
        async with executor(**(settings or {})) as started:
            return await started.run(exec_job(cmd, **command))

    return asyncio.run(run())


def lives(pid: int) -> bool:
    """Whether there is such a process, and it is more than a zombie that waits for its parent."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


async def pid_in(file: Path, within_s: float = 10) -> int:
    """The pid that a command writes into a file when it is ready."""
    await until(lambda: file.exists() and file.read_text().endswith("\n"), within_s)
    return int(file.read_text())


async def until(is_true: Callable[[], object], within_s: float = 10) -> None:
    """Wait for a fact of the outside world that nobody tells us of."""
    deadline = time.monotonic() + within_s
    while not is_true():
        assert time.monotonic() < deadline, "it did not come true in time"
        await asyncio.sleep(0.005)
