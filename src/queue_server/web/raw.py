"""Answers as bytes, for a connection that answers instead of the application."""

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from queue_server.web.errors import Failure, answer


def raw_answer(failure: Failure, path: str = "") -> bytes:
    """The failure as it is sent, in the style of the API that `path` belongs to; the connection is closed after it."""
    response = answer(failure, path)
    lines = [name + b": " + value for name, value in (*response.raw_headers, (b"connection", b"close"))]
    return STATUS_LINE[failure.status] + b"\r\n".join([*lines, b"", bytes(response.body)])
