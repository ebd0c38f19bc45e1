"""Which callback a job owes at its end, and the job that delivers it."""

from typing import TYPE_CHECKING

from queue_server.domain.command import Command, command_type
from queue_server.domain.hiding import moved
from queue_server.domain.job import Job, NewJob, Plan, Report, encode_plan
from queue_server.domain.outcome import Outcome
from queue_server.domain.retry import CALLBACK_RETRY
from queue_server.domain.state import State

if TYPE_CHECKING:
    from collections.abc import Sequence

OUTPUT_LIMIT = 64 * 1024
"""How much of a job's output a callback carries, in bytes."""


def callbacks_owed(job: Job, state: State, outcome: Outcome, *, now: int) -> "Sequence[NewJob]":
    """The jobs to add because `job` reached the final `state`: one callback, or none where none was asked for."""
    name = _callback_for(job.plan, state)
    command: Command | None = getattr(job.plan, name)
    if command is None or job.plan.report is not None:
        return ()
    report = Report(
        job_id=job.id,
        state=state,
        exit_code=outcome.exit_code,
        attempts=job.attempt,
        context=job.context,
        error=_writable(outcome.error),
        output=_cut(outcome.output.text),
    )
    plan = Plan(
        command=command,
        retry=CALLBACK_RETRY,
        report=report,
        token_id=job.plan.token_id,
        secrets=moved(job.plan.secrets, name),
    )
    row = NewJob(
        state=State.AVAILABLE,
        priority=job.priority,
        run_at=now,
        created_at=now,
        context=job.context,
        type=command_type(command),
        payload=encode_plan(plan),
        parent_id=job.id,
        queue=job.queue,
    )
    return (row,)


def _callback_for(plan: Plan, state: State) -> str:
    """callback_failed when it is given and the job failed; else callback_done, which hears of every end."""
    return "callback_failed" if state is State.FAILED and plan.callback_failed is not None else "callback_done"


def _writable(error: str | None) -> str | None:
    """Without lone surrogates, which JSON has no way to write."""
    return None if error is None else error.encode("utf-8", "replace").decode()


def _cut(output: bytes) -> str:
    return output[:OUTPUT_LIMIT].decode("utf-8", "replace")
