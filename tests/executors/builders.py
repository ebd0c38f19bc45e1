"""Jobs and executors as the tests of this folder need them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from queue_server.domain.command import ExecCommand
from queue_server.domain.job import Job, Plan
from queue_server.domain.state import State
from queue_server.executors.exec import ExecExecutor


def exec_job(cmd: str | None = None, *, job: dict[str, Any] | None = None, **command: Any) -> Job:
    """A claimed job that runs this command; `job` has other members of the job."""
    members = {
        "id": 7,
        "state": State.RUNNING,
        "claim_seq": 3,
        "attempt": 1,
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


@asynccontextmanager
async def executor(**settings: Any) -> AsyncIterator[ExecExecutor]:
    """A started executor with small limits, stopped at the end."""
    started = ExecExecutor(**({"output_limit": 1024 * 1024, "default_timeout": 60.0} | settings))
    await started.start()
    try:
        yield started
    finally:
        await started.stop()
