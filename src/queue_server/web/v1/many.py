"""The same for all jobs of a filter: `POST /v1/jobs:cancel`, `:retry`, `:delete`; and the operations they become."""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, Raw, UnsetType
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from queue_server.domain.access import Right
from queue_server.domain.errors import InvalidJob, Problem
from queue_server.domain.reading import read_as
from queue_server.domain.revising import NO_PATCH, read_patch
from queue_server.operations.many import Many
from queue_server.store.contract import Action, JobFilter, Operation
from queue_server.web.access.auditing import note, nothing_done
from queue_server.web.access.caller import access_of
from queue_server.web.answers import JsonResponse, encode
from queue_server.web.body import read_body
from queue_server.web.endpoint import Answer, Content, Endpoint
from queue_server.web.parameters import read_query, single_parameters
from queue_server.web.v1.changes import Reason
from queue_server.web.v1.filter_members import FilterMembers
from queue_server.web.v1.filters import filter_of_body
from queue_server.web.v1.jobs import WaitParameters
from queue_server.web.v1.views import OperationView, operation_view

PAGE_LIMIT = 200
BEYOND = 2**62

DryRun = Annotated[bool, Meta(description="Only count the jobs that match.")]


class ManyBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which jobs, and whether only to count them."""

    filter: Raw
    dry_run: bool = False
    reason: Reason = ""
    changes: Raw | UnsetType = UNSET


class DeleteMany(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Delete the final ones of these jobs."""

    filter: FilterMembers
    dry_run: DryRun = False


class CancelMany(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Cancel those of these jobs that have not ended."""

    filter: FilterMembers
    dry_run: DryRun = False
    reason: Reason = ""


class RetryMany(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Run the final ones of these jobs again, changed by a merge patch."""

    filter: FilterMembers
    dry_run: DryRun = False
    changes: Annotated[dict[str, object], Meta(description="A merge patch, as for changing one job.")] = {}


class MatchedView(msgspec.Struct, frozen=True):
    """How many jobs matched, and the operation that works on them unless only they were to be counted."""

    matched: int
    dry_run: bool
    operation: OperationView | UnsetType = UNSET


class OperationsView(msgspec.Struct, frozen=True):
    """Operations, newest first."""

    items: list[OperationView]
    next_cursor: Annotated[str | None, Meta(description="The `cursor` of the next page; null at the end.")]


class OperationsQuery(msgspec.Struct, frozen=True):
    """A page of operations."""

    limit: Annotated[
        int,
        Meta(ge=1, le=PAGE_LIMIT, extra={"expected": f"a whole number from 1 to {PAGE_LIMIT}"}),
    ] = 50
    cursor: (
        Annotated[
            int,
            Meta(ge=1, lt=2**53, description="`next_cursor` of the page before.", extra={"expected": "a cursor"}),
        ]
        | UnsetType
    ) = UNSET


BODIES: dict[Action, type[msgspec.Struct]] = {"cancel": CancelMany, "retry": RetryMany, "delete": DeleteMany}
SUMMARIES: dict[Action, str] = {
    "cancel": "Cancel all jobs of a filter",
    "retry": "Run all jobs of a filter again",
    "delete": "Delete all jobs of a filter",
}
DESCRIPTION = """\
Counts the jobs that match, then works through them in pages as an operation, whose progress can be seen and which goes
on after a restart. Jobs that are added later are left alone; jobs that are not in a state for it are skipped.
"""


class ManyJobs:
    """Requests for many jobs."""

    def __init__(self, many: Many, max_body: int) -> None:
        self._many = many
        self._max_body = max_body

    @property
    def endpoints(self) -> Sequence[Endpoint]:
        """What can be asked here."""
        handlers = {"cancel": self.cancel, "retry": self.retry, "delete": self.delete}
        operation = Content(OperationView)
        return (
            *(
                Endpoint(
                    method="POST",
                    path=f"/v1/jobs:{action}",
                    scope=Right.MANAGE,
                    handler=handlers[action],
                    tag="many jobs",
                    operation_id=f"{action}Jobs",
                    summary=SUMMARIES[action],
                    description=DESCRIPTION,
                    body=(Content(body),),
                    answers={
                        200: Answer("So many match; nothing was changed.", Content(MatchedView)),
                        202: Answer(
                            "It has begun.", Content(MatchedView), {"Location": "Where the operation's progress is."}
                        ),
                    },
                    errors=(400, 403, 408, 413, 503),
                )
                for action, body in BODIES.items()
            ),
            Endpoint(
                method="GET",
                path="/v1/operations",
                scope=Right.READ,
                handler=self.list,
                tag="many jobs",
                operation_id="listOperations",
                summary="List operations",
                query=OperationsQuery,
                answers={200: Answer("Operations, newest first.", Content(OperationsView))},
                errors=(400, 503),
            ),
            Endpoint(
                method="GET",
                path="/v1/operations/{operation_id}",
                scope=Right.READ,
                handler=self.get,
                tag="many jobs",
                operation_id="getOperation",
                summary="See how far an operation is, or wait for its end",
                query=WaitParameters,
                answers={200: Answer("The operation.", operation)},
                errors=(400, 404, 503),
            ),
            Endpoint(
                method="POST",
                path="/v1/operations/{operation_id}/cancel",
                scope=Right.MANAGE,
                handler=self.stop,
                tag="many jobs",
                operation_id="cancelOperation",
                summary="Leave the rest of an operation undone",
                answers={200: Answer("The operation; what it has done stays done.", operation)},
                errors=(404, 503),
            ),
        )

    async def cancel(self, request: Request) -> Response:
        """Cancel all that match."""
        return await self._act(request, "cancel")

    async def retry(self, request: Request) -> Response:
        """Run all that match again."""
        return await self._act(request, "retry")

    async def delete(self, request: Request) -> Response:
        """Delete all that match."""
        return await self._act(request, "delete")

    async def list(self, request: Request) -> Response:
        """Operations, newest first."""
        query = read_query(single_parameters(request), OperationsQuery)
        before_id = BEYOND if query.cursor is UNSET else query.cursor
        found, next_id = await self._many.operations(before_id, access_of(request.scope), query.limit)
        cursor = None if next_id is None else str(next_id)
        return JsonResponse(OperationsView([operation_view(operation) for operation in found], cursor))

    async def get(self, request: Request) -> Response:
        """One operation."""
        wait = read_query(single_parameters(request), WaitParameters).wait
        return _shown(request, await self._many.operation(_operation_id(request), access_of(request.scope), wait))

    async def stop(self, request: Request) -> Response:
        """End an operation early."""
        return _shown(request, await self._many.cancel(_operation_id(request), access_of(request.scope)))

    async def _act(self, request: Request, action: Action) -> Response:
        body, wanted, changes = _read(await read_body(request.scope, request.receive, self._max_body), action)
        access = access_of(request.scope)
        if body.dry_run:
            nothing_done(request)
            return JsonResponse({"matched": await self._many.count(wanted, access), "dry_run": True})
        operation = await self._many.start(action, wanted, access, reason=body.reason, changes=changes)
        note(
            request,
            target=f"/v1/operations/{operation.id}",
            count=operation.matched,
            details=encode(body.filter).decode(),
        )
        content = {"matched": operation.matched, "dry_run": False, "operation": operation_view(operation)}
        return JsonResponse(content, 202, {"Location": f"/v1/operations/{operation.id}"})


def _read(raw: bytes, action: Action) -> tuple[ManyBody, JobFilter, bytes]:
    """The body, its filter and its changes; InvalidJob with all that is wrong."""
    body = read_as(raw, ManyBody)
    problems: list[Problem] = []
    wanted, changes = JobFilter(), NO_PATCH
    if body.reason and action != "cancel":
        problems.append(Problem("/reason", "is for cancelling only"))
    if body.changes is not UNSET and action != "retry":
        problems.append(Problem("/changes", "is for retrying only"))
    try:
        wanted = filter_of_body(body.filter)
    except InvalidJob as error:
        problems += error.problems
    try:
        changes = NO_PATCH if body.changes is UNSET else read_patch(bytes(body.changes))
    except InvalidJob as error:
        problems += [Problem(f"/changes{problem.path}", problem.message) for problem in error.problems]
    if problems:
        raise InvalidJob(problems)
    return body, wanted, msgspec.json.encode(changes.members)


def _operation_id(request: Request) -> int:
    text: str = request.path_params["operation_id"]
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 16 else 0


def _shown(request: Request, operation: Operation | None) -> Response:
    if operation is None:
        raise HTTPException(404, f"There is no operation {request.path_params['operation_id']}")
    return JsonResponse(operation_view(operation))
