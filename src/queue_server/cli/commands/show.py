"""`show`: all about one job."""

from collections.abc import Iterator

import click
import msgspec
from msgspec import Raw

from queue_server.cli.client import connect
from queue_server.cli.human import moment, span
from queue_server.cli.job_columns import result, state_style
from queue_server.cli.options import JOB_ID, Format, output_option, server_option
from queue_server.cli.printers import print_json
from queue_server.cli.tables import Column, Fact, print_facts, print_table
from queue_server.client import Attempt, Job
from queue_server.client.address import Address

OUTCOME_STYLES = {"succeeded": "green", "failed": "red", "timed_out": "red"}

ATTEMPT_COLUMNS = (
    Column[Attempt]("attempt", lambda attempt: str(attempt.number), lambda _: "bold", justify="right"),
    Column[Attempt]("started", lambda attempt: moment(attempt.started_at)),
    Column[Attempt](
        "duration",
        lambda attempt: "" if attempt.duration is None else span(attempt.duration),
        justify="right",
    ),
    Column[Attempt](
        "outcome",
        lambda attempt: attempt.outcome.replace("_", " "),
        lambda attempt: OUTCOME_STYLES.get(attempt.outcome, "yellow"),
    ),
    Column[Attempt]("result", lambda attempt: _first(attempt.exit_code, attempt.signal), justify="right"),
    Column[Attempt]("error", lambda attempt: attempt.error or "", fit="wrap"),
)


@click.command("show")
@click.argument("job_id", metavar="ID", type=JOB_ID)
@output_option("table", "json", "ndjson")
@server_option
def command(job_id: int, output: Format, server: Address) -> None:
    """Show all about a job: what it is, why it is where it is, and its attempts."""
    with connect(server) as client:
        job = client.get(job_id)
        attempts = client.attempts(job_id)
    if output != "table":
        print_json(_with_attempts(job, attempts), output)
        return
    print_facts(_facts(job))
    if attempts:
        print()
        print_table(attempts, ATTEMPT_COLUMNS)


def _facts(job: Job) -> Iterator[Fact]:
    yield Fact("job", str(job.id), "bold")
    yield Fact("state", job.state, state_style(job.state))
    if job.cancel_requested and not job.is_final:
        yield Fact("cancellation", "requested", state_style("cancelled"))
    if job.reason:
        yield Fact("reason", job.reason)
    if told := result(job):
        yield Fact("result", told)
    if job.error:
        yield Fact("error", job.error, "red")
    yield Fact("what", job.summary)
    yield from _texts(job)
    yield from _labels(job)
    yield Fact("attempts", _attempts(job))
    yield from _times(job)


def _labels(job: Job) -> Iterator[Fact]:
    yield Fact("queue", job.queue)
    yield Fact("priority", str(job.priority))
    yield Fact("context", job.context)
    if job.key is not None:
        yield Fact("key", job.key)
    for name, value in job.tags.items():
        yield Fact(f"tag {name}", value)


def _attempts(job: Job) -> str:
    return str(job.attempt) + (f" of at most {job.max_attempts}" if job.max_attempts > 1 else "")


def _texts(job: Job) -> Iterator[Fact]:
    """The parts of the job that are JSON, as the server wrote them."""
    members = msgspec.json.decode(job.raw, type=dict[str, Raw])
    for name in ("command", "callback_done", "callback_failed", "retry"):
        text = bytes(members.get(name, Raw(b"null")))
        if text != b"null":
            yield Fact(name.replace("_", " "), msgspec.json.format(text, indent=-1).decode())
    if job.parent_id is not None:
        yield Fact("callback of", f"job {job.parent_id}")


def _times(job: Job) -> Iterator[Fact]:
    yield Fact("created", moment(job.created_at))
    if job.run_at and job.run_at != job.created_at:
        yield Fact("run at", moment(job.run_at))
    if job.expires_at:
        yield Fact("expires at", moment(job.expires_at))
    if job.deadline:
        yield Fact("deadline", moment(job.deadline))
    if job.retention is not None:
        yield Fact("retention", span(job.retention))
    if job.started_at:
        yield Fact("started", moment(job.started_at))
    if job.heartbeat_until:
        yield Fact("alive until", moment(job.heartbeat_until))
    if job.ended_at:
        ran = f" (ran {span((job.ended_at - job.started_at).total_seconds())})" if job.started_at else ""
        yield Fact("ended", moment(job.ended_at) + ran)


def _with_attempts(job: Job, attempts: list[Attempt]) -> bytes:
    members = msgspec.json.decode(job.raw, type=dict[str, Raw])
    return msgspec.json.encode({**members, "attempts": [Raw(attempt.raw) for attempt in attempts]})


def _first(*values: object) -> str:
    return next((str(value) for value in values if value is not None), "")
