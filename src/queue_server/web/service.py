"""For load balancers and supervisors: is the server alive, and does it take jobs?"""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from queue_server.operations.add import AddJob
from queue_server.web.answers import JsonResponse


class Service:
    """/healthz and /readyz."""

    def __init__(self, add: AddJob) -> None:
        self._add = add
        self.routes = [Route("/healthz", self.healthz), Route("/readyz", self.readyz)]

    async def healthz(self, _request: Request) -> Response:
        """The process answers."""
        return JsonResponse({"status": "ok"})

    async def readyz(self, _request: Request) -> Response:
        """The server takes jobs; 503 while it stops or its store is broken."""
        if self._add.is_closed:
            return JsonResponse({"status": "stopping"}, 503, {"Retry-After": "1"})
        return JsonResponse({"status": "ready"})
