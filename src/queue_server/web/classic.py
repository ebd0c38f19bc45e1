"""The first API. It comes from the PHP Queue Server that this one replaces and stays as it is for ever."""

from collections.abc import Sequence

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from queue_server import __version__
from queue_server.domain.access import Access, Right
from queue_server.domain.instants import classic_time
from queue_server.domain.job import JobRequest
from queue_server.domain.reading import read_request
from queue_server.domain.state import State
from queue_server.operations.add import AddJob
from queue_server.operations.look import Look
from queue_server.store.contract import JobRecord
from queue_server.web.access.caller import access_of
from queue_server.web.answers import JsonResponse, send_json
from queue_server.web.body import read_body
from queue_server.web.classic_shapes import Added, JobData, JobStatus, Running, ServerStatus
from queue_server.web.endpoint import Answer, Content, Endpoint, Handler
from queue_server.web.errors import Failure, classic_answer
from queue_server.web.idempotency import key_of

WORKER_STATUS = {
    State.SCHEDULED: 0,
    State.AVAILABLE: 0,
    State.RUNNING: 1,
    State.COMPLETED: 3,
    State.FAILED: 99,
    State.CANCELLED: 99,
}
TAG = "first API"
NOT_FOUND = Failure(404, "Job not found")


class AddEndpoint:
    """`POST /jobs/add` as a raw ASGI application: the hot path."""

    def __init__(self, add: AddJob, max_body: int) -> None:
        self._add = add
        self._max_body = max_body

    @property
    def endpoints(self) -> Sequence[Endpoint]:
        """What can be asked here."""
        return (
            Endpoint(
                method="POST",
                path="/jobs/add",
                scope=Right.ADD,
                handler=self,
                is_raw=True,
                tag=TAG,
                summary="Add a job",
                operation_id="classicAddJob",
                body=(Content(JobRequest),),
                answers={200: Answer("The job is durable.", Content(Added))},
                errors=(403, 410, 422),
            ),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer once the job is durable."""
        request = read_request(await read_body(scope, receive, self._max_body))
        job = await self._add(request, access_of(scope), key_of(scope))
        await send_json(scope, send, 200, b'{"status":"OK","job_id":%d}' % job.id)


class Classic:
    """The first API's other answers."""

    def __init__(self, look: Look) -> None:
        self._look = look

    @property
    def endpoints(self) -> Sequence[Endpoint]:
        """What can be asked here."""
        return (
            _get("/", self.root, "The server's version", "classicRoot", Running),
            _get("/jobs/status", self.status, "How much there is to do", "classicStatus", ServerStatus),
            _get("/jobs/status/{job_id}", self.job_status, "See a job in short", "classicJobStatus", JobStatus, 404),
            _get("/jobs/get/{job_id}", self.job, "See a job", "classicJob", JobData, 404),
        )

    async def root(self, _request: Request) -> Response:
        """Which version runs."""
        return JsonResponse({"version": __version__, "status": "running"})

    async def status(self, request: Request) -> Response:
        """How many jobs wait and run, and how many slots there are."""
        status = await self._look.status(access_of(request.scope))
        data = {
            "waiting": status.waiting,
            "working": status.working,
            "max_threads": status.slots,
            "free_threads": status.free,
        }
        return JsonResponse({"status": 200, "data": data})

    async def job_status(self, request: Request) -> Response:
        """A job in short."""
        job = await self._look.job(job_id_of(request), access_of(request.scope))
        if job is None:
            return classic_answer(NOT_FOUND)
        return JsonResponse({"status": 200, "data": _short(job)})

    async def job(self, request: Request) -> Response:
        """The whole job, with the result and the output of its last attempt."""
        access = access_of(request.scope)
        job = await self._look.job(job_id_of(request), access)
        if job is None:
            return classic_answer(NOT_FOUND)
        output = await self._look.output(job, access)
        data = (
            _short(job)
            | _members(job, access)
            | {
                "attempts": job.attempt,
                "time_started": classic_time(job.claimed_at),
                "time_due": classic_time(job.run_at),
                "outcome": job.outcome,
                "exit_code": job.exit_code,
                "error": job.error,
                "reason": job.reason,
                "output": None if output is None else output.text.decode("utf-8", "replace"),
                "error_output": None if output is None else output.error_text.decode("utf-8", "replace"),
            }
        )
        return JsonResponse({"status": 200, "data": data})


def _get(path: str, handler: Handler, summary: str, operation_id: str, type_: type, *errors: int) -> Endpoint:
    answers = {200: Answer("As it is now.", Content(type_))}
    return Endpoint(
        method="GET",
        path=path,
        scope=Right.READ,
        handler=handler,
        tag=TAG,
        summary=summary,
        operation_id=operation_id,
        answers=answers,
        errors=errors,
    )


def job_id_of(request: Request) -> int:
    """The id in the path; 0, which no job has, where it is no number."""
    text: str = request.path_params["job_id"]
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 16 else 0


def _short(job: JobRecord) -> dict[str, object]:
    return {
        "id": job.id,
        "worker_status": WORKER_STATUS[job.state],
        "time_added": classic_time(job.created_at),
        "time_completed": classic_time(job.ended_at),
        "priority": job.priority,
        "state": job.state,
    }


def _members(job: JobRecord, access: Access) -> dict[str, object]:
    """The job as it was sent: its commands and options, and the context that applies. A callback reports an output."""
    members: dict[str, object] = {"context": job.context}
    shown = msgspec.structs.replace(job.plan, token_id=None, secrets=None)
    if job.plan.report is not None and not access.may(Right.READ_OUTPUT):
        shown = msgspec.structs.replace(shown, report=msgspec.structs.replace(job.plan.report, output=""))
    plan = msgspec.to_builtins(shown, builtin_types=(msgspec.Raw,))
    plan |= {"expires_at": classic_time(job.plan.expires_at), "deadline": classic_time(job.plan.deadline)}
    return members | {name: value for name, value in plan.items() if value is not None}
