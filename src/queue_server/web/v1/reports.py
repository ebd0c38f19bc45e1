"""What a target says of a job that it goes on with past the request: signs of life, and the result.

The claim in the path is the fence: one that no longer owns its job is told so (409), and must stop.
"""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from queue_server.domain.access import Right
from queue_server.domain.instants import rfc3339
from queue_server.domain.outcome import FAILED, SUCCEEDED, Outcome, Output
from queue_server.domain.reading import read_as
from queue_server.domain.retry import Delay
from queue_server.executors.output import OutputBuffer
from queue_server.operations.manage import Manage
from queue_server.web.access.caller import access_of
from queue_server.web.answers import JsonResponse
from queue_server.web.body import read_body
from queue_server.web.classic import job_id_of
from queue_server.web.endpoint import Answer, Content, Endpoint
from queue_server.web.v1.jobs import JOB, found
from queue_server.web.v1.views import Time, job_view, reported_view

SENTENCE_LIMIT = 1000
WITHOUT_READ = " A token without the scope `read` is shown its id, state, attempt, claim and created_at only."

Heartbeat = Annotated[
    float,
    Meta(
        ge=0.1,
        le=7 * 86_400,
        description="Seconds until the next one has to come.",
        extra={"expected": "seconds, from 0.1 to 604800 (7 days)"},
    ),
]
ExitCode = Annotated[
    int, Meta(ge=0, le=999, description="A code of your own.", extra={"expected": "a whole number from 0 to 999"})
]
OutputText = Annotated[str, Meta(description="What came out; kept as the attempt's output.")]


Sentence = Annotated[
    str, Meta(description=f"What people will read; put on one line and cut to {SENTENCE_LIMIT} characters.")
]


class HeartbeatBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A sign of life. `message` becomes the job's reason."""

    timeout: Heartbeat | None = None
    message: Sentence = ""


class CompleteBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The attempt has succeeded."""

    output: OutputText = ""
    exit_code: ExitCode | None = None


class FailBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The attempt has failed; the job's retry says whether it is tried again, not before `retry_after` seconds."""

    error: Sentence = ""
    output: OutputText = ""
    exit_code: ExitCode | None = None
    retry_after: Delay | None = None


class HeartbeatView(msgspec.Struct, frozen=True):
    """Until when the next sign of life has to come, and whether to stop: somebody wants the job cancelled."""

    job_id: int
    claim: int
    heartbeat_until: Time
    cancel_requested: bool


class Reports:
    """Requests of targets."""

    def __init__(self, manage: Manage, *, heartbeat_timeout: float, max_body: int, output_limit: int) -> None:
        self._manage = manage
        self._heartbeat_timeout = heartbeat_timeout
        self._max_body = max_body
        self._output_limit = output_limit

    @property
    def endpoints(self) -> Sequence[Endpoint]:
        """What can be asked here."""
        path, errors = "/v1/jobs/{job_id}/attempts/{claim}", (400, 404, 408, 409, 413, 503)
        return (
            Endpoint(
                method="POST",
                path=f"{path}/heartbeat",
                scope=Right.ADD,
                handler=self.heartbeat,
                tag="continued work",
                operation_id="heartbeat",
                summary="Give a sign of life",
                body=(Content(HeartbeatBody),),
                is_body_required=False,
                answers={200: Answer("Go on.", Content(HeartbeatView))},
                errors=errors,
            ),
            Endpoint(
                method="POST",
                path=f"{path}/complete",
                scope=Right.ADD,
                handler=self.complete,
                tag="continued work",
                operation_id="completeAttempt",
                summary="Report that the attempt has succeeded",
                body=(Content(CompleteBody),),
                is_body_required=False,
                answers={200: Answer("The job, which has completed." + WITHOUT_READ, JOB)},
                errors=errors,
            ),
            Endpoint(
                method="POST",
                path=f"{path}/fail",
                scope=Right.ADD,
                handler=self.fail,
                tag="continued work",
                operation_id="failAttempt",
                summary="Report that the attempt has failed",
                body=(Content(FailBody),),
                is_body_required=False,
                answers={200: Answer("The job, which has failed or is tried again." + WITHOUT_READ, JOB)},
                errors=errors,
            ),
        )

    async def heartbeat(self, request: Request) -> Response:
        """Take a sign of life."""
        body = read_as(await self._body(request), HeartbeatBody)
        job_id, claim = job_id_of(request), _claim_of(request)
        taken = await self._manage.heartbeat(
            job_id,
            access_of(request.scope),
            claim,
            seconds=body.timeout or self._heartbeat_timeout,
            message=_sentence(body.message),
        )
        job = found(request, taken[0] if taken else None)
        until = rfc3339(taken[1]) if taken else ""
        return JsonResponse(HeartbeatView(job.id, claim, until or "", job.cancel_wished_at is not None))

    async def complete(self, request: Request) -> Response:
        """Take a success."""
        body = read_as(await self._body(request), CompleteBody)
        return await self._report(request, Outcome(SUCCEEDED, body.exit_code, output=self._output(body.output)))

    async def fail(self, request: Request) -> Response:
        """Take a failure."""
        body = read_as(await self._body(request), FailBody)
        outcome = Outcome(
            FAILED,
            body.exit_code,
            error=_sentence(body.error) or "its target reported a failure",
            retry_after=body.retry_after,
            output=self._output(body.output),
        )
        return await self._report(request, outcome)

    async def _report(self, request: Request, outcome: Outcome) -> Response:
        access = access_of(request.scope)
        job = found(request, await self._manage.report(job_id_of(request), access, _claim_of(request), outcome))
        return JsonResponse(job_view(job) if access.may(Right.READ) else reported_view(job))

    def _output(self, text: str) -> Output:
        kept = OutputBuffer(self._output_limit)
        kept.feed(text.encode())
        return Output(kept.value(), size=kept.size)

    async def _body(self, request: Request) -> bytes:
        return await read_body(request.scope, request.receive, self._max_body) or b"{}"


def _sentence(text: str) -> str:
    """On one line, without control characters, not too long: an exception's text may be anything."""
    line = " ".join("".join(sign if sign.isprintable() else " " for sign in text[: 2 * SENTENCE_LIMIT]).split())
    return line if len(line) <= SENTENCE_LIMIT else line[: SENTENCE_LIMIT - 1] + "…"


def _claim_of(request: Request) -> int:
    """The claim in the path; HTTPException 404 where it is no number."""
    text: str = request.path_params["claim"]
    if not (text.isascii() and text.isdigit() and len(text) <= 16):
        raise HTTPException(404, f"There is no claim {text}; it is the number in X-Queue-Claim")
    return int(text)
