"""Examples for the document, made of the types themselves, so that they can't be wrong."""

from collections.abc import Mapping
from typing import Any

import msgspec

from queue_server.domain.command import HttpCommand
from queue_server.domain.job import Attempt, JobRecord, JobRequest, Plan
from queue_server.domain.outcome import OutcomeKind, Output, Timings
from queue_server.domain.retry import Retry, RetryWish
from queue_server.domain.state import State
from queue_server.web.v1.batch import JobList
from queue_server.web.v1.views import (
    AttemptsView,
    CountsView,
    ErrorView,
    JobPageView,
    JobView,
    ProblemView,
    SlotsView,
    StatsView,
    attempt_view,
    job_view,
)

SECOND = 1_000_000
ADDED_AT = 1_795_512_600 * SECOND
"""2026-11-24 09:30:00 UTC."""

_COMMAND = HttpCommand(url="https://example.com/mails?list=7", timeout=20.0, json=msgspec.Raw(b'{"subject":"News"}'))
_DONE = HttpCommand(url="https://example.com/done?job=__JOBID__")

_REQUEST = JobRequest(
    command=_COMMAND,
    priority=800,
    context="MyCoolApp",
    callback_done=_DONE,
    retry=RetryWish(max_attempts=3, min_delay=5.0),
    tags={"customer": "acme"},
)
_JOB = JobRecord(
    id=1,
    state=State.AVAILABLE,
    priority=800,
    run_at=ADDED_AT,
    context="MyCoolApp",
    attempt=0,
    claim_seq=0,
    node_id=None,
    created_at=ADDED_AT,
    claimed_at=None,
    ended_at=None,
    reason="",
    parent_id=None,
    plan=Plan(_COMMAND, _DONE, retry=Retry(max_attempts=3, min_delay=5.0), tags={"customer": "acme"}),
)
_ENDED_JOB = msgspec.structs.replace(
    _JOB,
    state=State.COMPLETED,
    attempt=1,
    claim_seq=1,
    node_id=1,
    claimed_at=ADDED_AT + 2_000,
    ended_at=ADDED_AT + 12_000,
    outcome=OutcomeKind.SUCCEEDED,
    exit_code=200,
)
_ATTEMPT = Attempt(
    job_id=1,
    claim_seq=1,
    number=1,
    node_id=1,
    started_at=ADDED_AT + 2_000,
    ended_at=ADDED_AT + 12_000,
    outcome=OutcomeKind.SUCCEEDED,
    exit_code=200,
    output=Output(size=12),
    due_at=ADDED_AT,
    timings=Timings(400, 9_000),
)
_PROBLEM = ProblemView(
    "about:blank",
    "Bad Request",
    400,
    "Invalid request: /command/url must start with http:// or https://",
    [ErrorView("/command/url", "must start with http:// or https://")],
)


def examples() -> Mapping[Any, Any]:
    """An example for a type, as JSON's own types."""
    made = {
        JobRequest: _REQUEST,
        JobList: [_REQUEST, JobRequest(command=HttpCommand(url="https://example.com/"))],
        JobView: job_view(_JOB),
        JobPageView: JobPageView([job_view(_ENDED_JOB)], None),
        AttemptsView: AttemptsView([attempt_view(_ATTEMPT)]),
        StatsView: StatsView("1.0.0", CountsView(0, 2, 2, 1204, 3, 0), SlotsView(100, 98)),
        ProblemView: _PROBLEM,
    }
    return {type_: msgspec.json.decode(msgspec.json.encode(example)) for type_, example in made.items()}
