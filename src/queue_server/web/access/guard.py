"""What every request passes before it is answered: where it comes from, who asks, and whether they may.

    guard = Guard(tokens, audit, settings, clock, is_loopback=…)
    application = guard.protect(endpoint, application)      for each request that is declared
    if guard.is_preflight(scope): …                        for every request, known or not

A token is asked for as soon as one exists, and always where other machines can connect, unless `auth` is off.
"""

import math
from collections.abc import Awaitable, Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from queue_server.clock import Clock
from queue_server.config.settings import Settings
from queue_server.domain.access import EVERYBODY, Access, Right
from queue_server.operations.audit import Audit
from queue_server.operations.tokens import Tokens
from queue_server.web.access.auditing import audited
from queue_server.web.access.browsers import Browsers
from queue_server.web.access.caller import ACCESS, SEND
from queue_server.web.access.credentials import tokens_in
from queue_server.web.access.failed_logins import FailedLogins
from queue_server.web.access.lasting import LastingAnswers
from queue_server.web.endpoint import Endpoint
from queue_server.web.errors import Failure, answer
from queue_server.web.gate import network_of
from queue_server.web.openapi.names import name_of
from queue_server.web.presence import WHOLE

NOT_OF_PAGES = frozenset({b"origin", b"sec-fetch-site"}).isdisjoint
"""Whether headers have nothing that browsers add on behalf of pages."""

CHALLENGE = {"WWW-Authenticate": 'Bearer realm="Queue Server", Basic realm="Queue Server", charset="UTF-8"'}
NO_TOKEN = Failure(
    401,
    "this server asks for a token: send it as Authorization: Bearer …, or as the user in the URL; "
    "`queue-server token create` makes one",
    headers=CHALLENGE,
)
WRONG_TOKEN = Failure(401, "this token is not known here, has expired or was revoked", headers=CHALLENGE)
MANAGING = (Right.MANAGE, Right.ADMIN)
PREFLIGHT_AGE_S = 600
ALLOWED_HEADERS = b"authorization, content-type, idempotency-key, if-none-match, last-event-id, range"
EXPOSED_HEADERS = b"etag, idempotent-replayed, link, location, retry-after"


class Guard:
    """Says who may ask what."""

    def __init__(self, tokens: Tokens, audit: Audit, settings: Settings, clock: Clock, *, is_loopback: bool) -> None:
        self._tokens = tokens
        self._audit = audit
        self._clock = clock
        self._is_off = settings.auth == "off"
        self._is_loopback = is_loopback
        self._browsers = Browsers(settings.allowed_hosts, settings.allowed_origins)
        self._failed = FailedLogins(settings.login_limit)
        self.lasting = LastingAnswers()

    def protect(self, endpoint: Endpoint, application: ASGIApp) -> ASGIApp:
        """The application for those who have the request's right; what manages something goes into the audit log."""
        right = endpoint.scope
        if right is None:
            return self._open(application)
        if right in MANAGING and endpoint.method != "GET":
            application = audited(self._audit, name_of(endpoint), application)
        if endpoint.method == "GET":
            application = self.lasting.noted(application, lambda scope: self._still_admits(scope, right))

        def protected(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
            headers = dict(scope["headers"])
            admitted = self._admit(scope, headers, right)
            if isinstance(admitted, Failure):
                return self._refuse(admitted, headers, scope, receive, send)
            scope["state"][ACCESS] = admitted
            if b"origin" in headers:
                send = self._for_page(headers[b"origin"], scope, send)
            return application(scope, receive, send)

        return protected

    def is_preflight(self, scope: Scope) -> bool:
        """Whether a browser asks on behalf of an allowed page what it may send (the Fetch standard's CORS protocol)."""
        if scope["method"] != "OPTIONS":
            return False
        return self._browsers.allows_origin(dict(scope["headers"]).get(b"origin", b""))

    async def answer_preflight(self, scope: Scope, send: Send) -> None:
        """Tell the browser that it may."""
        headers = [
            *_page_headers(dict(scope["headers"])[b"origin"]),
            (b"access-control-allow-methods", b"GET, HEAD, POST, PUT, PATCH, DELETE"),
            (b"access-control-allow-headers", ALLOWED_HEADERS),
            (b"access-control-max-age", b"%d" % PREFLIGHT_AGE_S),
        ]
        await send({"type": "http.response.start", "status": 204, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    def _open(self, application: ASGIApp) -> ASGIApp:
        def opened(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
            headers = dict(scope["headers"])
            if failure := self._browsers.refuses_page(headers, scope["method"]):
                return self._refuse(failure, headers, scope, receive, send)
            if b"origin" in headers:
                send = self._for_page(headers[b"origin"], scope, send)
            return application(scope, receive, send)

        return opened

    def _admit(self, scope: Scope, headers: Mapping[bytes, bytes], right: Right) -> Access | Failure:
        """On the way of every request: what programs send takes a look at two headers."""
        if not NOT_OF_PAGES(headers) and (failure := self._browsers.refuses_page(headers, scope["method"])):
            return failure
        if self._is_off or (self._is_loopback and not self._tokens.has_any):
            return self._browsers.refuses_host(headers.get(b"host", b"")) or EVERYBODY
        authorization = headers.get(b"authorization")
        if authorization is None:
            return NO_TOKEN
        now = self._clock.now()
        access = self._tokens.recall(authorization, now) or self._identify(scope, authorization, now)
        if isinstance(access, Failure) or right in access.scopes:
            return access
        return Failure(403, f"the token {access.name} does not have the scope {right}, which this needs")

    def _identify(self, scope: Scope, authorization: bytes, now: int) -> Access | Failure:
        """Whose token it is. One that is right is never made to wait: no neighbour can lock it out."""
        for token in tokens_in(authorization):
            if access := self._tokens.check(token, now):
                self._tokens.remember(authorization, token)
                return access
        address, moment = (scope.get("client") or ("",))[0], self._clock.monotonic()
        address = network_of(address) or address
        if seconds := self._failed.seconds_to_wait(address, moment):
            return Failure(
                429,
                "too many wrong tokens from this address (setting login_limit)",
                headers={"Retry-After": str(math.ceil(seconds))},
            )
        self._failed.failed(address, moment)
        return WRONG_TOKEN

    def _still_admits(self, scope: Scope, right: Right) -> bool:
        """Whether a request that was admitted would be again."""
        if self._is_off or (self._is_loopback and not self._tokens.has_any):
            return True
        now = self._clock.now()
        shown = tokens_in(dict(scope["headers"]).get(b"authorization", b""))
        return any((access := self._tokens.check(token, now)) and right in access.scopes for token in shown)

    async def _refuse(
        self, failure: Failure, headers: Mapping[bytes, bytes], scope: Scope, receive: Receive, send: Send
    ) -> None:
        if b"origin" in headers:
            send = self._for_page(headers[b"origin"], scope, send)
        await answer(failure, scope["path"])(scope, receive, send)

    def _for_page(self, origin: bytes, scope: Scope, send: Send) -> Send:
        """`send` with what lets a page of an allowed origin read the answer."""
        if not self._browsers.allows_origin(origin):
            return send
        scope["state"].pop(WHOLE, None)

        async def send_readable(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *_page_headers(origin)]}
            await send(message)

        scope["state"][SEND] = send_readable
        return send_readable


def _page_headers(origin: bytes) -> list[tuple[bytes, bytes]]:
    return [
        (b"access-control-allow-origin", origin),
        (b"access-control-expose-headers", EXPOSED_HEADERS),
        (b"vary", b"Origin"),
    ]
