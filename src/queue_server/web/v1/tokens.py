"""API tokens: making, seeing, rotating and revoking them. A token's text is in two answers only: those that make it."""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from queue_server.clock import Clock
from queue_server.domain.access import Right
from queue_server.domain.instants import rfc3339
from queue_server.domain.reading import read_as
from queue_server.domain.retry import YEAR_S
from queue_server.domain.tokens import TargetRules, TargetsWord, Token, TokenRequest, TokenState
from queue_server.operations.tokens import Made, Tokens
from queue_server.web.access.auditing import note
from queue_server.web.answers import JsonResponse, encode
from queue_server.web.body import read_body
from queue_server.web.endpoint import Answer, Content, Endpoint
from queue_server.web.parameters import read_query, single_parameters
from queue_server.web.v1.views import Time

PAGE_LIMIT = 200
BEYOND = 2**62
OVERLAP_S = 86_400.0
NO_STORE = {"Cache-Control": "no-store"}

Cursor = Annotated[
    int, Meta(ge=1, lt=2**53, description="`next_cursor` of the page before.", extra={"expected": "a cursor"})
]
Overlap = Annotated[
    float,
    Meta(
        ge=0,
        le=YEAR_S,
        description="Seconds for which the text that it had goes on working; 0 ends it at once.",
        extra={"expected": f"seconds, from 0 to {YEAR_S} (a year)"},
    ),
]
ONCE = "The token, with its text in `token`: it is shown this once and can't be found out again."


class TokenView(msgspec.Struct, frozen=True, kw_only=True):
    """A token as it is shown. `contexts` and `queues` bind it to such jobs; null is all."""

    id: Annotated[int, Meta(description="The token's id.")]
    name: Annotated[str, Meta(description="Its name.")]
    state: Annotated[TokenState, Meta(description="Whether it works.")]
    scopes: Annotated[tuple[Right, ...], Meta(description="What it may do.")]
    contexts: Annotated[tuple[str, ...] | None, Meta(description="The contexts that it is bound to; null is all.")]
    queues: Annotated[tuple[str, ...] | None, Meta(description="The queues that it is bound to; null is all.")]
    http_targets: Annotated[
        TargetsWord | None, Meta(description="Where its http jobs may go; null is what the settings say.")
    ]
    http_allow: Annotated[tuple[str, ...], Meta(description="Targets that its http jobs may go to.")]
    http_deny: Annotated[tuple[str, ...], Meta(description="Targets that its http jobs may not go to.")]
    created_at: Annotated[Time, Meta(description="When it was made.")]
    expires_at: Annotated[Time | None, Meta(description="When it ends by itself; null is never.")]
    old_until: Annotated[
        Time | None, Meta(description="Until when the text before the last rotation works; null if it was not rotated.")
    ]
    revoked_at: Annotated[Time | None, Meta(description="When it was revoked; null if it was not.")]
    last_used_at: Annotated[Time | None, Meta(description="When it was last shown, to about a minute; null is never.")]


class NewTokenView(TokenView, frozen=True, kw_only=True):
    """A token that has just been given its text."""

    token: Annotated[str, Meta(description="The text to send as `Authorization: Bearer …`; shown this once.")]


class TokensView(msgspec.Struct, frozen=True):
    """Tokens, newest first."""

    items: Annotated[list[TokenView], Meta(description="The tokens.")]
    next_cursor: Annotated[str | None, Meta(description="The `cursor` of the next page; null at the end.")]


class TokensQuery(msgspec.Struct, frozen=True):
    """A page of tokens."""

    revoked: Annotated[bool, Meta(description="Also those that have been revoked.")] = False
    limit: Annotated[int, Meta(ge=1, le=PAGE_LIMIT, extra={"expected": f"a whole number from 1 to {PAGE_LIMIT}"})] = 50
    cursor: Cursor | UnsetType = UNSET


class RotateBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a token gets another text."""

    overlap: Overlap = OVERLAP_S


class ApiTokens:
    """Requests for tokens."""

    def __init__(self, tokens: Tokens, clock: Clock, max_body: int) -> None:
        self._tokens = tokens
        self._clock = clock
        self._max_body = max_body

    @property
    def endpoints(self) -> Sequence[Endpoint]:
        """What can be asked here."""
        return (
            Endpoint(
                method="POST",
                path="/v1/tokens",
                scope=Right.ADMIN,
                handler=self.create,
                tag="tokens",
                operation_id="createToken",
                summary="Make a token",
                body=(Content(TokenRequest),),
                answers={201: Answer(ONCE, Content(NewTokenView), {"Location": "Where the token is."})},
                errors=(400, 409, 503),
            ),
            Endpoint(
                method="GET",
                path="/v1/tokens",
                scope=Right.ADMIN,
                handler=self.list,
                tag="tokens",
                operation_id="listTokens",
                summary="List tokens",
                query=TokensQuery,
                answers={200: Answer("Tokens, newest first, without their texts.", Content(TokensView))},
                errors=(400,),
            ),
            Endpoint(
                method="GET",
                path="/v1/tokens/{token_id}",
                scope=Right.ADMIN,
                handler=self.get,
                tag="tokens",
                operation_id="getToken",
                summary="See a token",
                answers={200: Answer("The token, without its text.", Content(TokenView))},
                errors=(404,),
            ),
            Endpoint(
                method="DELETE",
                path="/v1/tokens/{token_id}",
                scope=Right.ADMIN,
                handler=self.revoke,
                tag="tokens",
                operation_id="revokeToken",
                summary="Revoke a token",
                description="From this answer on it gives no rights. The last token with scope admin stays while other "
                "machines can reach the server.",
                answers={204: Answer("It is revoked, now or since earlier.")},
                errors=(404, 409, 503),
            ),
            Endpoint(
                method="POST",
                path="/v1/tokens/{token_id}/rotate",
                scope=Right.ADMIN,
                handler=self.rotate,
                tag="tokens",
                operation_id="rotateToken",
                summary="Give a token another text",
                description="The text that it had goes on working for the overlap, so that clients can be changed over "
                "one by one; the one before that ends now.",
                body=(Content(RotateBody),),
                is_body_required=False,
                answers={200: Answer(ONCE, Content(NewTokenView))},
                errors=(400, 404, 409, 503),
            ),
        )

    async def create(self, request: Request) -> Response:
        """Make a token."""
        made = await self._tokens.create(read_as(await self._body(request), TokenRequest))
        _note(request, made.token)
        return JsonResponse(self._once(made), 201, {"Location": f"/v1/tokens/{made.token.id}", **NO_STORE})

    async def list(self, request: Request) -> Response:
        """Tokens, newest first."""
        query = read_query(single_parameters(request), TokensQuery)
        before = BEYOND if query.cursor is UNSET else query.cursor
        tokens = [token for token in self._tokens.list() if token.id < before]
        shown = [token for token in tokens if query.revoked or token.revoked_at is None]
        page = shown[: query.limit]
        cursor = str(page[-1].id) if len(shown) > len(page) else None
        return JsonResponse(TokensView([self._view(token) for token in page], cursor))

    async def get(self, request: Request) -> Response:
        """One token."""
        token = self._tokens.get(_token_id(request))
        if token is None:
            raise _no_such_token(request)
        return JsonResponse(self._view(token))

    async def revoke(self, request: Request) -> Response:
        """End a token."""
        token = await self._tokens.revoke(_token_id(request))
        if token is None:
            raise _no_such_token(request)
        _note(request, token)
        return Response(status_code=204)

    async def rotate(self, request: Request) -> Response:
        """Give a token another text."""
        body = read_as(await self._body(request) or b"{}", RotateBody)
        made = await self._tokens.rotate(_token_id(request), body.overlap)
        if made is None:
            raise _no_such_token(request)
        _note(request, made.token)
        return JsonResponse(self._once(made), headers=NO_STORE)

    def _view(self, token: Token) -> TokenView:
        return token_view(token, self._clock.now())

    def _once(self, made: Made) -> NewTokenView:
        return new_token_view(made, self._clock.now())

    async def _body(self, request: Request) -> bytes:
        return await read_body(request.scope, request.receive, self._max_body)


def token_view(token: Token, now: int) -> TokenView:
    """The token as it is at that time."""
    rules = token.targets or TargetRules()
    return TokenView(
        id=token.id,
        name=token.name,
        state=token.state(now),
        scopes=token.scopes,
        contexts=token.contexts,
        queues=token.queues,
        http_targets=rules.http_targets,
        http_allow=rules.http_allow,
        http_deny=rules.http_deny,
        created_at=str(rfc3339(token.created_at)),
        expires_at=rfc3339(token.expires_at),
        old_until=rfc3339(token.old_until),
        revoked_at=rfc3339(token.revoked_at),
        last_used_at=rfc3339(token.last_used_at),
    )


def new_token_view(made: Made, now: int) -> NewTokenView:
    """The token with its text."""
    view = token_view(made.token, now)
    return NewTokenView(**{name: getattr(view, name) for name in view.__struct_fields__}, token=made.text)


def audit_target(token: Token) -> str:
    """The token as the audit log names it."""
    return f"/v1/tokens/{token.id}"


def audit_details(token: Token) -> str:
    """What the audit log keeps of a token; nothing of its text."""
    kept = {"name": token.name, "scopes": token.scopes, "contexts": token.contexts, "queues": token.queues}
    return encode({name: value for name, value in kept.items() if value is not None}).decode()


def _note(request: Request, token: Token) -> None:
    note(request, target=audit_target(token), details=audit_details(token))


def _token_id(request: Request) -> int:
    text: str = request.path_params["token_id"]
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 16 else 0


def _no_such_token(request: Request) -> HTTPException:
    return HTTPException(404, f"There is no token {request.path_params['token_id']}")
