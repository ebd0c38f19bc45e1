"""/v1/audit: who has managed what."""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from queue_server.domain.access import Right
from queue_server.domain.audit import Act
from queue_server.domain.instants import rfc3339
from queue_server.operations.audit import Audit
from queue_server.web.answers import JsonResponse
from queue_server.web.endpoint import Answer, Content, Endpoint
from queue_server.web.parameters import read_query, single_parameters

BEYOND = 2**53
LIMIT = 1000

Cursor = Annotated[
    int,
    Meta(
        ge=0,
        lt=BEYOND,
        description="The `next_cursor` of the page before.",
        extra={"expected": "the next_cursor of a page"},
    ),
]
Limit = Annotated[
    int,
    Meta(ge=1, le=LIMIT, description="How many at most.", extra={"expected": f"a whole number from 1 to {LIMIT}"}),
]


class AuditQuery(msgspec.Struct, frozen=True):
    """Which page."""

    limit: Limit = 100
    cursor: Cursor | UnsetType = UNSET


class ActView(msgspec.Struct, frozen=True):
    """A management action that was carried out."""

    id: int
    at: str
    who: str
    token_id: int | None
    address: str
    action: str
    target: str
    count: int | None
    details: str


class ActsView(msgspec.Struct, frozen=True):
    """A page of actions, newest first."""

    items: list[ActView]
    next_cursor: str | None


class AuditLog:
    """The audit log, for reading: what is in it stays as it is."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit

    @property
    def endpoints(self) -> Sequence[Endpoint]:
        """What can be asked here."""
        return (
            Endpoint(
                method="GET",
                path="/v1/audit",
                scope=Right.ADMIN,
                handler=self.list,
                tag="audit",
                operation_id="listAudit",
                summary="See who has managed what",
                description="Every action that needs the scope manage or admin and has been carried out.",
                query=AuditQuery,
                answers={200: Answer("Actions, newest first.", Content(ActsView))},
                errors=(503,),
            ),
        )

    async def list(self, request: Request) -> Response:
        """Actions, newest first."""
        query = read_query(single_parameters(request), AuditQuery)
        acts = await self._audit.acts(BEYOND if query.cursor is UNSET else query.cursor, query.limit)
        cursor = str(acts[-1].id) if len(acts) == query.limit else None
        return JsonResponse(ActsView([_view(act) for act in acts], cursor))


def _view(act: Act) -> ActView:
    return ActView(
        id=act.id,
        at=rfc3339(act.at) or "",
        who=act.who,
        token_id=act.token_id,
        address=act.address,
        action=act.action,
        target=act.target,
        count=act.count,
        details=act.details,
    )
