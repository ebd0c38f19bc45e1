"""All requests of the HTTP interface, and the application that answers them."""

from collections.abc import Callable, Sequence

import msgspec
from starlette.types import Receive, Scope, Send

from queue_server.clock import Clock
from queue_server.config.settings import Settings
from queue_server.operations.add import AddJob
from queue_server.operations.audit import Audit
from queue_server.operations.explain import Explain
from queue_server.operations.look import Look
from queue_server.operations.manage import Manage
from queue_server.operations.many import Many
from queue_server.operations.output import ReadOutput
from queue_server.operations.secrets import Secrets
from queue_server.operations.tokens import Tokens
from queue_server.operations.wait import Wait
from queue_server.telemetry.job_events import JobEvents
from queue_server.telemetry.logs import Log
from queue_server.web.access.caller import SEND
from queue_server.web.access.guard import Guard
from queue_server.web.classic import AddEndpoint, Classic
from queue_server.web.endpoint import Endpoint
from queue_server.web.errors import answer, failure_of
from queue_server.web.openapi.pages import Pages
from queue_server.web.routing import Router
from queue_server.web.service import Service
from queue_server.web.v1.audit import AuditLog
from queue_server.web.v1.batch import Batches
from queue_server.web.v1.changes import Changes
from queue_server.web.v1.events import Events
from queue_server.web.v1.jobs import CreateEndpoint, Jobs
from queue_server.web.v1.many import ManyJobs
from queue_server.web.v1.output import Outputs
from queue_server.web.v1.reports import Reports
from queue_server.web.v1.secrets import ApiSecrets
from queue_server.web.v1.tokens import ApiTokens


class Services(msgspec.Struct, frozen=True, kw_only=True):
    """What the server can be asked, free of HTTP."""

    add: AddJob
    look: Look
    wait: Wait
    explain: Explain
    manage: Manage
    many: Many
    output: ReadOutput
    events: JobEvents
    tokens: Tokens
    secrets: Secrets
    audit: Audit
    is_cut_off: Callable[[], bool]


class App:
    """The ASGI application. Every error becomes an answer; only one that nobody expected is a 500, and is logged."""

    def __init__(self, endpoints: Sequence[Endpoint], guard: Guard, log: Log) -> None:
        self._log = log
        self._guard = guard
        self._router = Router([*endpoints, *Pages(endpoints).endpoints], guard.protect)

    @property
    def endpoints(self) -> Sequence[Endpoint]:
        """All that can be asked."""
        return self._router.endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        if scope["method"] == "OPTIONS" and self._guard.is_preflight(scope):
            await self._guard.answer_preflight(scope, send)
            return
        try:
            await self._router(scope, receive, send)
        except Exception as error:  # noqa: BLE001 (the last resort: nothing may leave without an answer)
            failure = failure_of(error)
            if failure.status == 500:
                self._log.exception("a request failed; this is a bug, please report it", path=scope["path"])
            await answer(failure, scope["path"])(scope, receive, scope["state"].get(SEND, send))


def endpoints_of(services: Services, settings: Settings, clock: Clock) -> Sequence[Endpoint]:
    """Every request but those for the documentation that is made of them. The hot path comes first."""
    add, look, limit = services.add, services.look, settings.max_body
    groups = (
        AddEndpoint(add, limit),
        CreateEndpoint(add, look, limit),
        Batches(add, clock, settings.max_batch, limit),
        Jobs(look, services.wait, services.explain),
        Changes(services.manage, services.wait, limit),
        Outputs(services.output),
        Events(services.events, look),
        Reports(
            services.manage,
            heartbeat_timeout=settings.heartbeat_timeout,
            max_body=limit,
            output_limit=settings.output_limit,
        ),
        ManyJobs(services.many, limit),
        ApiTokens(services.tokens, clock, limit),
        ApiSecrets(services.secrets, limit),
        AuditLog(services.audit),
        Classic(look),
        Service(add, services.is_cut_off),
    )
    return [endpoint for group in groups for endpoint in group.endpoints]
