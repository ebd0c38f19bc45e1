"""For load balancers and supervisors: is the server alive, and does it take jobs?"""

from collections.abc import Callable, Sequence
from typing import Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from queue_server.operations.add import AddJob
from queue_server.web.answers import JsonResponse
from queue_server.web.endpoint import Answer, Content, Endpoint

TAG = "service"


class Health(msgspec.Struct, frozen=True):
    """The process answers."""

    status: Literal["ok"]


class Readiness(msgspec.Struct, frozen=True):
    """Whether the server takes jobs."""

    status: Literal["ready", "stopping", "cut off"]


class Service:
    """/healthz and /readyz."""

    def __init__(self, add: AddJob, is_cut_off: Callable[[], bool]) -> None:
        self._add = add
        self._is_cut_off = is_cut_off

    @property
    def endpoints(self) -> Sequence[Endpoint]:
        """What can be asked here."""
        stopping = Answer(
            "The server stops, can't write, or is cut off from the database that it shares.",
            Content(Readiness),
            {"Retry-After": "Seconds."},
        )
        return (
            Endpoint(
                method="GET",
                path="/healthz",
                scope=None,
                handler=self.healthz,
                tag=TAG,
                summary="Whether the process answers",
                operation_id="isAlive",
                answers={200: Answer("It does.", Content(Health))},
            ),
            Endpoint(
                method="GET",
                path="/readyz",
                scope=None,
                handler=self.readyz,
                tag=TAG,
                summary="Whether the server takes jobs",
                operation_id="isReady",
                answers={200: Answer("It does.", Content(Readiness)), 503: stopping},
            ),
        )

    async def healthz(self, _request: Request) -> Response:
        """The process answers."""
        return JsonResponse({"status": "ok"})

    async def readyz(self, _request: Request) -> Response:
        """The server takes jobs; 503 while it stops, its store is broken, or a shared one does not answer."""
        if self._add.is_closed or self._is_cut_off():
            status = "stopping" if self._add.is_closed else "cut off"
            return JsonResponse({"status": status}, 503, {"Retry-After": "1"})
        return JsonResponse({"status": "ready"})
