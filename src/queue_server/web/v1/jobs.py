"""/v1/jobs and what belongs to one job; /v1/stats."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from queue_server import __version__
from queue_server.domain.errors import InvalidJob, Problem
from queue_server.domain.reading import read_request
from queue_server.domain.state import State
from queue_server.operations.add import AddJob
from queue_server.operations.look import Look
from queue_server.store.contract import JobFilter
from queue_server.web.answers import JsonResponse, encode, send_json
from queue_server.web.body import read_body
from queue_server.web.classic import job_id_of
from queue_server.web.errors import Failure, problem_answer
from queue_server.web.v1.views import attempt_view, job_view, stats_view

PAGE_DEFAULT, PAGE_LIMIT = 50, 1000
STREAMS = {"output": "text", "stderr": "error_text", "head": "head"}
LIST_PARAMETERS = ("state", "context", "limit", "cursor")


class CreateEndpoint:
    """`POST /v1/jobs` as a raw ASGI application."""

    def __init__(self, add: AddJob, max_body: int) -> None:
        self._add = add
        self._max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 201 with the job once it is durable."""
        job = await self._add(read_request(await read_body(scope, receive, self._max_body)))
        await send_json(send, 201, encode(job_view(job.record())), (b"location", b"/v1/jobs/%d" % job.id))


class Jobs:
    """Reading jobs."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self.routes = [
            Route("/v1/jobs", self.list),
            Route("/v1/jobs/{job_id}", self.get),
            Route("/v1/jobs/{job_id}/attempts", self.attempts),
            Route("/v1/jobs/{job_id}/output", self.output),
            Route("/v1/stats", self.stats),
        ]

    async def list(self, request: Request) -> Response:
        """Jobs, newest first, a page at a time."""
        wanted = filter_of(request.query_params)
        jobs = await self._look.jobs(wanted)
        cursor = str(jobs[-1].id) if len(jobs) == wanted.limit else None
        headers = {"Link": f'<{_next_url(request, cursor)}>; rel="next"'} if cursor else None
        return JsonResponse({"items": [job_view(job) for job in jobs], "next_cursor": cursor}, headers=headers)

    async def get(self, request: Request) -> Response:
        """One job."""
        job = await self._look.job(job_id_of(request))
        return _not_found(request) if job is None else JsonResponse(job_view(job))

    async def attempts(self, request: Request) -> Response:
        """A job's ended attempts, oldest first."""
        attempts = await self._look.attempts(job_id_of(request))
        if attempts is None:
            return _not_found(request)
        return JsonResponse({"items": [attempt_view(attempt) for attempt in attempts]})

    async def output(self, request: Request) -> Response:
        """What an attempt printed, or what its target answered, as bytes."""
        job_id = job_id_of(request)
        stream = request.query_params.get("stream", "output")
        if stream not in STREAMS:
            raise InvalidJob([Problem("/stream", f"must be one of {', '.join(STREAMS)}")])
        number = _whole_number(request.query_params, "attempt", None, 1, 2**31)
        output = await self._look.output(job_id, number)
        if output is None and await self._look.job(job_id) is None:
            return _not_found(request)
        if output is None and number is not None:
            return problem_answer(Failure(404, f"Job {job_id} has no ended attempt {number}"))
        body: bytes = b"" if output is None else getattr(output, STREAMS[stream])
        return Response(body, media_type="application/octet-stream", headers={"X-Content-Type-Options": "nosniff"})

    async def stats(self, _request: Request) -> Response:
        """Counts and slots."""
        return JsonResponse(stats_view(await self._look.status(), __version__))


def filter_of(parameters: Mapping[str, str]) -> JobFilter:
    """The list's filter from the query; InvalidJob with every parameter that is wrong."""
    problems = [
        Problem(f"/{name}", f"is not a known parameter; known are {', '.join(LIST_PARAMETERS)}")
        for name in parameters
        if name not in LIST_PARAMETERS
    ]
    state = parameters.get("state")
    if state is not None and state not in list(State):
        problems.append(Problem("/state", f"must be one of {', '.join(State)}"))
    limit = cursor = None
    try:
        limit = _whole_number(parameters, "limit", PAGE_DEFAULT, 1, PAGE_LIMIT)
        cursor = _whole_number(parameters, "cursor", None, 1, 2**53)
    except InvalidJob as error:
        problems += error.problems
    if problems:
        raise InvalidJob(problems)
    context = parameters.get("context")
    return JobFilter(State(state) if state else None, context, cursor, limit or PAGE_DEFAULT)


def _whole_number(parameters: Mapping[str, str], name: str, default: int | None, least: int, most: int) -> int | None:
    text = parameters.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 20 and least <= int(text) <= most):
        raise InvalidJob([Problem(f"/{name}", f"must be a whole number from {least} to {most}")])
    return int(text)


def _next_url(request: Request, cursor: str | None) -> str:
    parameters: dict[str, Any] = {**request.query_params, "cursor": cursor}
    return f"{request.url.path}?{urlencode(parameters)}"


def _not_found(request: Request) -> Response:
    return problem_answer(Failure(404, f"There is no job {request.path_params['job_id']}"))
