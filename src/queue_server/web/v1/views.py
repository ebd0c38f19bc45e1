"""How jobs, attempts and statistics look in /v1. Times are RFC 3339 UTC with microseconds, durations are seconds."""

from queue_server.domain.command import Unreadable, command_type, summary
from queue_server.domain.instants import rfc3339
from queue_server.domain.job import Attempt
from queue_server.domain.retry import ONCE
from queue_server.domain.state import State
from queue_server.operations.look import Status
from queue_server.store.contract import JobRecord


def job_view(job: JobRecord) -> dict[str, object]:
    """A job."""
    plan = job.plan
    view: dict[str, object] = {
        "id": job.id,
        "state": job.state,
        "type": "unreadable" if isinstance(plan.command, Unreadable) else command_type(plan.command),
        "summary": summary(plan.command),
        "priority": job.priority,
        "context": job.context,
        "command": plan.command,
    }
    options = {"callback_done": plan.callback_done, "callback_failed": plan.callback_failed, "retry": plan.retry}
    view |= {name: value for name, value in options.items() if value is not None}
    return view | {
        "attempt": job.attempt,
        "max_attempts": (plan.retry or ONCE).max_attempts,
        "run_at": rfc3339(job.run_at),
        "created_at": rfc3339(job.created_at),
        "started_at": rfc3339(job.claimed_at),
        "ended_at": rfc3339(job.ended_at),
        "outcome": job.outcome,
        "exit_code": job.exit_code,
        "error": job.error,
        "reason": job.reason,
        "parent_id": job.parent_id,
        "node_id": job.node_id,
    }


def attempt_view(attempt: Attempt) -> dict[str, object]:
    """An ended attempt."""
    return {
        "number": attempt.number,
        "claim": attempt.claim_seq,
        "node_id": attempt.node_id,
        "started_at": rfc3339(attempt.started_at),
        "ended_at": rfc3339(attempt.ended_at),
        "duration": max(0, attempt.ended_at - attempt.started_at) / 1_000_000,
        "outcome": attempt.outcome,
        "exit_code": attempt.exit_code,
        "signal": attempt.signal,
        "error": attempt.error,
    }


def stats_view(status: Status, version: str) -> dict[str, object]:
    """The server at a glance."""
    return {
        "version": version,
        "jobs": {str(state): status.counts[state] for state in State},
        "slots": {"total": status.slots, "free": status.free},
    }
