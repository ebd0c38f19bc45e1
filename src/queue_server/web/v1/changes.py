"""Changing one job: cancel, retry, run now, change, delete."""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response

from queue_server.domain.access import Right
from queue_server.domain.job import NO_CONTROLS, JobRecord
from queue_server.domain.reading import read_as
from queue_server.domain.revising import Patch, read_patch
from queue_server.domain.state import State
from queue_server.operations.manage import Manage
from queue_server.operations.wait import Wait
from queue_server.web.access.caller import access_of
from queue_server.web.answers import JsonResponse
from queue_server.web.body import read_body
from queue_server.web.classic import job_id_of
from queue_server.web.endpoint import Answer, Content, Endpoint
from queue_server.web.openapi.patches import MERGE_PATCH
from queue_server.web.parameters import read_query, single_parameters
from queue_server.web.v1.jobs import JOB, WaitParameters, found, no_such_job, waited
from queue_server.web.v1.views import job_view

Reason = Annotated[
    str,
    Meta(
        max_length=1000,
        pattern=NO_CONTROLS,
        description="Why, for those who look at the job later.",
        extra={"expected": "a text of at most 1000 characters without control characters"},
    ),
]


class CancelBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why a job is cancelled."""

    reason: Reason = ""


PATCH = Content(Patch, MERGE_PATCH, "What is to change.")


class Changes:
    """Requests that change one job."""

    def __init__(self, manage: Manage, wait: Wait, max_body: int) -> None:
        self._manage = manage
        self._wait = wait
        self._max_body = max_body

    @property
    def endpoints(self) -> Sequence[Endpoint]:
        """What can be asked here."""
        return (
            Endpoint(
                method="PATCH",
                path="/v1/jobs/{job_id}",
                scope=Right.MANAGE,
                handler=self.patch,
                tag="jobs",
                operation_id="changeJob",
                summary="Change a job that waits",
                description="A JSON merge patch (RFC 7396) over the job as it was sent.",
                body=(PATCH,),
                answers={200: Answer("The changed job.", JOB)},
                errors=(400, 403, 404, 408, 409, 413, 503),
            ),
            Endpoint(
                method="DELETE",
                path="/v1/jobs/{job_id}",
                scope=Right.MANAGE,
                handler=self.delete,
                tag="jobs",
                operation_id="deleteJob",
                summary="Delete a job that has ended",
                answers={204: Answer("It is gone, with its attempts and outputs.")},
                errors=(404, 409, 503),
            ),
            Endpoint(
                method="POST",
                path="/v1/jobs/{job_id}/cancel",
                scope=Right.MANAGE,
                handler=self.cancel,
                tag="jobs",
                operation_id="cancelJob",
                summary="Cancel a job",
                description="One that waits ends at once. One that runs is interrupted within a second: its request is "
                "aborted, its process group killed; with `wait` the answer comes once it has ended.",
                query=WaitParameters,
                body=(Content(CancelBody),),
                is_body_required=False,
                answers={
                    200: Answer("The cancelled job.", JOB),
                    202: Answer("The job still runs and is being interrupted.", JOB),
                },
                errors=(400, 404, 408, 409, 413, 503),
            ),
            Endpoint(
                method="POST",
                path="/v1/jobs/{job_id}/retry",
                scope=Right.MANAGE,
                handler=self.retry,
                tag="jobs",
                operation_id="retryJob",
                summary="Run a job that has ended again",
                description="With all its attempts anew, and changed by the merge patch in the body, if there is one. "
                "Of its expires_at and deadline those that have passed are dropped.",
                body=(PATCH,),
                is_body_required=False,
                answers={200: Answer("The job, which waits again.", JOB)},
                errors=(400, 403, 404, 408, 409, 413, 503),
            ),
            Endpoint(
                method="POST",
                path="/v1/jobs/{job_id}/run",
                scope=Right.MANAGE,
                handler=self.run,
                tag="jobs",
                operation_id="runJob",
                summary="Make a scheduled job due now",
                answers={200: Answer("The job, which is due.", JOB)},
                errors=(404, 409, 503),
            ),
        )

    async def patch(self, request: Request) -> Response:
        """Change a waiting job."""
        patch = read_patch(await self._body(request) or b"null")
        return self._shown(request, await self._manage.revise(job_id_of(request), access_of(request.scope), patch))

    async def delete(self, request: Request) -> Response:
        """Delete a final job."""
        if not await self._manage.delete(job_id_of(request), access_of(request.scope)):
            raise no_such_job(request)
        return Response(status_code=204)

    async def cancel(self, request: Request) -> Response:
        """Cancel a job."""
        wait = read_query(single_parameters(request), WaitParameters).wait
        body = read_as(await self._body(request) or b"{}", CancelBody)
        job = found(request, await self._manage.cancel(job_id_of(request), access_of(request.scope), body.reason))
        if wait and not job.state.is_final:
            job = found(request, await waited(request, self._wait, job.id, wait))
        return self._shown(request, job, 202 if job.state is State.RUNNING else 200)

    async def retry(self, request: Request) -> Response:
        """Run a final job again."""
        patch = read_patch(await self._body(request))
        return self._shown(request, await self._manage.retry(job_id_of(request), access_of(request.scope), patch))

    async def run(self, request: Request) -> Response:
        """Make a scheduled job due."""
        return self._shown(request, await self._manage.run_now(job_id_of(request), access_of(request.scope)))

    def _shown(self, request: Request, job: JobRecord | None, status: int = 200) -> Response:
        return JsonResponse(job_view(found(request, job)), status)

    async def _body(self, request: Request) -> bytes:
        return await read_body(request.scope, request.receive, self._max_body)
