import asyncio
from typing import Any

import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from queue_server.web.endpoint import Answer, Endpoint
from queue_server.web.routing import Router


def endpoint(method: str, path: str, handler: Any, **members: Any) -> Endpoint:
    return Endpoint(
        method=method, path=path, handler=handler, summary="", scope=None, answers={200: Answer("")}, tag="", **members
    )


def echo(name: str) -> Any:
    async def handler(request: Request) -> Response:
        return Response(f"{name} {request.path_params}")

    return handler


async def answered(router: Router, scope: Scope, receive: Receive, send: Send) -> None:
    """The router refuses at once, so it is called where there is a loop."""
    await router(scope, receive, send)


def ask(router: Router, method: str, path: str) -> list[Message]:
    """All messages of the answer."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": [], "state": {}}
    asyncio.run(answered(router, scope, receive, send))
    return sent


def body(messages: list[Message]) -> str:
    return b"".join(message.get("body", b"") for message in messages).decode()


def test_path_without_parameters_is_found_before_a_pattern_that_fits_too():
    router = Router([endpoint("GET", "/jobs/{id}", echo("one")), endpoint("GET", "/jobs/batch", echo("batch"))])
    assert body(ask(router, "GET", "/jobs/batch")) == "batch {}"


def test_parameters_are_taken_from_the_path():
    router = Router([endpoint("GET", "/jobs/{id}/attempts/{claim}", echo("it"))])
    assert body(ask(router, "GET", "/jobs/7/attempts/3")) == "it {'id': '7', 'claim': '3'}"


def test_colon_is_part_of_a_path():
    router = Router([endpoint("POST", "/jobs:cancel", echo("many")), endpoint("GET", "/jobs/{id}", echo("one"))])
    assert body(ask(router, "POST", "/jobs:cancel")) == "many {}"


@pytest.mark.parametrize("path", ["/", "/jobs/", "/jobs/7/", "/jobs/7/x", "/jobs:x", "/job"])
def test_unknown_path_is_not_found(path):
    router = Router([endpoint("GET", "/jobs/{id}", echo("one")), endpoint("GET", "/jobs", echo("all"))])
    with pytest.raises(HTTPException, match=f"nothing at {path}") as error:
        ask(router, "GET", path)
    assert error.value.status_code == 404


@pytest.mark.parametrize("path", ["/jobs", "/jobs/7"])
def test_known_path_with_another_method_tells_those_it_takes(path):
    same = [
        endpoint(method, path, echo(method)) for method in ("POST", "GET", "DELETE") for path in ("/jobs", "/jobs/{id}")
    ]
    with pytest.raises(HTTPException) as error:
        ask(Router(same), "PATCH", path)
    assert (error.value.status_code, error.value.headers) == (405, {"Allow": "DELETE, GET, HEAD, POST"})


def test_head_has_the_head_of_get_and_no_body():
    router = Router([endpoint("GET", "/", echo("it"))])
    start, end = ask(router, "HEAD", "/")
    assert (start["status"], dict(start["headers"])[b"content-length"]) == (200, b"5")
    assert end["body"] == b""


def test_head_of_a_stream_does_not_begin_it():
    begun: list[bool] = []

    async def pieces():
        begun.append(True)
        yield b"x"

    async def handler(_request: Request) -> Response:
        return StreamingResponse(pieces())

    assert body(ask(Router([endpoint("GET", "/", handler)]), "HEAD", "/")) == ""
    assert begun == []


def test_head_of_a_raw_application_ends_it_with_its_head():
    ended: list[str] = []

    async def application(_scope: Scope, _receive: Receive, send: Send) -> None:
        try:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"a", b"b")]})
            ended.append("too late")
        finally:
            ended.append("cleaned up")

    start, end = ask(Router([endpoint("GET", "/", application, is_raw=True)]), "HEAD", "/")
    assert (start["headers"], end["body"]) == ([(b"a", b"b")], b"")
    assert ended == ["cleaned up"]


def test_raw_application_gets_the_parameters():
    async def application(scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": scope["path_params"]["id"].encode()})

    assert body(ask(Router([endpoint("GET", "/{id}", application, is_raw=True)]), "GET", "/7")) == "7"


def test_same_request_declared_twice_is_refused():
    with pytest.raises(ValueError, match="GET / is declared twice"):
        Router([endpoint("GET", "/", echo("a")), endpoint("GET", "/", echo("b"))])
