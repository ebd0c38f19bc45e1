"""How jobs look in lists."""

from collections.abc import Mapping
from datetime import UTC, datetime

from queue_server.cli.human import age, span
from queue_server.cli.printers import Shape
from queue_server.cli.tables import Column
from queue_server.client import Job
from queue_server.clock import Clock

STATE_STYLES: Mapping[str, str] = {
    "scheduled": "cyan",
    "available": "blue",
    "running": "yellow",
    "completed": "green",
    "failed": "bold red",
    "cancelled": "magenta",
}


def job_shape(clock: Clock) -> Shape[Job]:
    """Jobs as rows; ages are those at this moment."""
    now = datetime.fromtimestamp(clock.now() / 1_000_000, UTC)
    columns = (
        Column[Job]("id", lambda job: str(job.id), lambda _: "bold", justify="right"),
        Column[Job]("state", lambda job: job.state, lambda job: state_style(job.state)),
        Column[Job]("priority", lambda job: str(job.priority), justify="right"),
        Column[Job]("context", lambda job: job.context, fit="cut"),
        Column[Job]("what", lambda job: job.summary, fit="cut"),
        Column[Job]("result", result, lambda job: "red" if job.has_failed else ""),
        Column[Job]("age", lambda job: age(job.created_at, now), lambda _: "dim", justify="right"),
        Column[Job]("duration", lambda job: duration(job, now), lambda _: "dim", justify="right"),
    )
    return Shape(Job, columns)


def state_style(state: str) -> str:
    """The colour of a state."""
    return STATE_STYLES.get(state, "")


def result(job: Job) -> str:
    """What came out: the exit code or HTTP status, else the outcome in a word, else nothing yet."""
    if job.exit_code is not None:
        return str(job.exit_code)
    return (job.outcome or "").replace("_", " ")


def duration(job: Job, now: datetime) -> str:
    """How long the job ran, or has been running; nothing for one that never started."""
    if job.started_at is None or not (job.is_final or job.state == "running"):
        return ""
    return span(((job.ended_at or now) - job.started_at).total_seconds())
