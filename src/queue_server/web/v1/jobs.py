"""/v1/jobs and what is read of one job; /v1/stats."""

from collections.abc import Sequence
from typing import Annotated, Any
from urllib.parse import urlencode

import msgspec
from msgspec import Meta
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from queue_server import __version__
from queue_server.domain.access import Right
from queue_server.domain.job import JobRecord, JobRequest
from queue_server.domain.reading import read_request
from queue_server.operations.add import AddJob
from queue_server.operations.explain import Explain
from queue_server.operations.look import Look
from queue_server.operations.wait import Wait
from queue_server.web.access.caller import access_of
from queue_server.web.answers import JsonResponse, encode, send_json
from queue_server.web.body import read_body
from queue_server.web.classic import job_id_of
from queue_server.web.endpoint import Answer, Content, Endpoint
from queue_server.web.idempotency import REPLAYED, key_of
from queue_server.web.parameters import read_query, single_parameters
from queue_server.web.presence import patiently
from queue_server.web.v1.filters import ListParameters, cursor_of, filter_of_query
from queue_server.web.v1.views import (
    AttemptsView,
    ExplanationView,
    JobPageView,
    JobView,
    StatsView,
    attempt_view,
    job_view,
    stats_view,
)

WAIT_LIMIT_S = 60

WaitSeconds = Annotated[
    float,
    Meta(
        ge=0,
        le=WAIT_LIMIT_S,
        description="Seconds to wait for the end; then the answer shows how far it is.",
        extra={"expected": f"seconds, from 0 to {WAIT_LIMIT_S}"},
    ),
]


class WaitParameters(msgspec.Struct, frozen=True):
    """How long to wait for an end."""

    wait: WaitSeconds = 0.0


JOB = Content(JobView)


class CreateEndpoint:
    """`POST /v1/jobs` as a raw ASGI application."""

    def __init__(self, add: AddJob, look: Look, max_body: int) -> None:
        self._add = add
        self._look = look
        self._max_body = max_body

    @property
    def endpoints(self) -> Sequence[Endpoint]:
        """What can be asked here."""
        return (
            Endpoint(
                method="POST",
                path="/v1/jobs",
                scope=Right.ADD,
                handler=self,
                is_raw=True,
                tag="jobs",
                operation_id="addJob",
                summary="Add a job",
                headers={"Idempotency-Key": "Sent again with the same job, it adds nothing and shows the first one."},
                body=(Content(JobRequest),),
                answers={
                    201: Answer("The job is durable.", JOB, {"Location": "Where the job is."}),
                    200: Answer(
                        "It had been added before with this key; this is how it stands.",
                        JOB,
                        {"Location": "Where the job is.", "Idempotent-Replayed": "`true`."},
                    ),
                },
                errors=(400, 403, 408, 410, 413, 422, 503),
            ),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 201 with the job once it is durable."""
        key, access = key_of(scope), access_of(scope)
        job = await self._add(read_request(await read_body(scope, receive, self._max_body)), access, key)
        location = (b"location", b"/v1/jobs/%d" % job.id)
        if not job.is_replayed:
            await send_json(scope, send, 201, encode(job_view(job.record())), location)
            return
        record = await self._look.job(job.id, access)
        if record is None:
            raise HTTPException(410, f"job {job.id} of this idempotency key has ended and been deleted")
        await send_json(scope, send, 200, encode(job_view(record)), location, REPLAYED)


class Jobs:
    """Reading jobs."""

    def __init__(self, look: Look, wait: Wait, explain: Explain) -> None:
        self._look = look
        self._wait = wait
        self._explain = explain

    @property
    def endpoints(self) -> Sequence[Endpoint]:
        """What can be asked here."""
        return (
            Endpoint(
                method="GET",
                path="/v1/jobs",
                scope=Right.READ,
                handler=self.list,
                tag="jobs",
                operation_id="listJobs",
                summary="List jobs",
                description="Page by page: go on until `next_cursor` is null. A search looks at a bounded number of "
                "jobs, so a page may hold fewer than `limit`, even none, before the end.",
                query=ListParameters,
                takes_tags=True,
                answers={
                    200: Answer("A page of jobs.", Content(JobPageView), {"Link": "The next page, if there is one."})
                },
                errors=(400, 503),
            ),
            Endpoint(
                method="GET",
                path="/v1/jobs/{job_id}",
                scope=Right.READ,
                handler=self.get,
                tag="jobs",
                operation_id="getJob",
                summary="See a job, or wait for its end",
                query=WaitParameters,
                answers={200: Answer("The job.", JOB)},
                errors=(400, 404, 503),
            ),
            Endpoint(
                method="GET",
                path="/v1/jobs/{job_id}/attempts",
                scope=Right.READ,
                handler=self.attempts,
                tag="jobs",
                operation_id="listAttempts",
                summary="List the ended attempts of a job",
                answers={200: Answer("Its attempts, oldest first.", Content(AttemptsView))},
                errors=(404, 503),
            ),
            Endpoint(
                method="GET",
                path="/v1/jobs/{job_id}/explain",
                scope=Right.READ,
                handler=self.explain,
                tag="jobs",
                operation_id="explainJob",
                summary="Why a job is in its state, and what happens next",
                answers={200: Answer("One sentence, and its facts.", Content(ExplanationView))},
                errors=(404, 503),
            ),
            Endpoint(
                method="GET",
                path="/v1/stats",
                scope=Right.READ,
                handler=self.stats,
                tag="statistics",
                operation_id="getStats",
                summary="Count jobs and slots",
                description="A token that is bound to contexts or queues is told of its own jobs only, counted to "
                "10,000 in each state at most.",
                answers={200: Answer("The server at a glance.", Content(StatsView))},
                errors=(503,),
            ),
        )

    async def list(self, request: Request) -> Response:
        """Jobs, a page at a time."""
        query = filter_of_query(single_parameters(request))
        page = await self._look.jobs(query, access_of(request.scope))
        cursor = None if page.next is None else cursor_of(query.order, page.next)
        headers = {"Link": f'<{_next_url(request, cursor)}>; rel="next"'} if cursor else None
        return JsonResponse(JobPageView([job_view(job) for job in page.jobs], cursor), headers=headers)

    async def get(self, request: Request) -> Response:
        """One job; with `wait` as soon as it has ended."""
        wait = read_query(single_parameters(request), WaitParameters).wait
        return JsonResponse(job_view(found(request, await waited(request, self._wait, job_id_of(request), wait))))

    async def attempts(self, request: Request) -> Response:
        """A job's ended attempts, oldest first."""
        attempts = await self._look.attempts(job_id_of(request), access_of(request.scope))
        if attempts is None:
            raise no_such_job(request)
        return JsonResponse(AttemptsView([attempt_view(attempt) for attempt in attempts]))

    async def explain(self, request: Request) -> Response:
        """Why it is in its state."""
        told = await self._explain(job_id_of(request), access_of(request.scope))
        if told is None:
            raise no_such_job(request)
        return JsonResponse(ExplanationView(told.job.id, told.job.state, told.sentence, told.facts))

    async def stats(self, request: Request) -> Response:
        """Counts and slots."""
        return JsonResponse(stats_view(await self._look.status(access_of(request.scope)), __version__))


async def waited(request: Request, wait: Wait, job_id: int, seconds: float) -> JobRecord | None:
    """The job once it has ended, or after so many seconds; given up when the client goes away."""
    return await patiently(request, lambda left: wait(job_id, access_of(request.scope), left), seconds)


def found(request: Request, job: JobRecord | None) -> JobRecord:
    """The job; HTTPException 404 if there is none."""
    if job is None:
        raise no_such_job(request)
    return job


def no_such_job(request: Request) -> HTTPException:
    """The error for an id that no job has."""
    return HTTPException(404, f"There is no job {request.path_params['job_id']}")


def _next_url(request: Request, cursor: str | None) -> str:
    parameters: dict[str, Any] = {**request.query_params, "cursor": cursor}
    return f"{request.url.path}?{urlencode(parameters)}"
