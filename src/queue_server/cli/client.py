"""A small client of the HTTP API: bytes in, bytes out, and every way to fail as a CommandError."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Self, TypeVar
from urllib.parse import urlencode, urlsplit

import msgspec
from msgspec import Raw
from pyreqwest.client import BaseClientBuilder, Client, ClientBuilder, SyncClientBuilder
from pyreqwest.exceptions import PyreqwestError

from queue_server import __version__
from queue_server.cli.answers import error_of, no_answer, read
from queue_server.cli.exits import CommandError, Exit
from queue_server.cli.wire import Job, Page

CONNECT_TIMEOUT = timedelta(seconds=10)
READ_TIMEOUT = timedelta(seconds=60)
PAGE_SIZE = 200
_LOOPBACK = ("127.0.0.1", "::1", "localhost")

T = TypeVar("T")
B = TypeVar("B", bound=BaseClientBuilder)


class Server(msgspec.Struct, frozen=True):
    """Where the server is, without a slash at the end, and the token that it asks for."""

    url: str
    token: str | None = None


class Api:
    """One connection to a server, for one command. Use it in a `with`.

    A request is sent by a thread, because nothing would hear Ctrl-C while pyreqwest waits for an answer.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._http = _configured(SyncClientBuilder(), server).build()
        self._thread = ThreadPoolExecutor(max_workers=1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown(wait=False)
        self._http.close()

    def get(self, path: str, **query: str | int | None) -> bytes:
        """The body of the answer to a GET. Query members that are None are left out."""
        members = {name: value for name, value in query.items() if value is not None}
        return self._ask("GET", f"{path}?{urlencode(members)}" if members else path)

    def add(self, job: bytes) -> bytes:
        """Add a job; the job as the server knows it."""
        return self._ask("POST", "/v1/jobs", job)

    def job(self, job_id: int) -> tuple[bytes, Job]:
        """The job, as the server wrote it and read; CommandError with NOT_FOUND if there is none."""
        try:
            raw = self.get(f"/v1/jobs/{job_id}")
        except CommandError as error:
            raise self._without_job(job_id) if error.code is Exit.NOT_FOUND else error from None
        return raw, self.read(raw, Job)

    def jobs(self, limit: int | None, **filters: str | None) -> Iterator[Raw]:
        """The newest `limit` jobs that match, or all; further pages are asked for as they are needed."""
        cursor: str | None = None
        left = limit
        while left is None or left > 0:
            size = PAGE_SIZE if left is None else min(left, PAGE_SIZE)
            page = self.read(self.get("/v1/jobs", limit=size, cursor=cursor, **filters), Page)
            yield from page.items[:size]
            left = None if left is None else left - len(page.items)
            cursor = page.next_cursor
            if cursor is None:
                return

    def read(self, body: bytes, answer: type[T]) -> T:
        """The body as the answer that was asked for."""
        return read(body, answer, self._server.url)

    def _ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        url = self._server.url
        request = self._http.request(method, url + path)
        if body is not None:
            request = request.header("Content-Type", "application/json").body_bytes(body)
        try:
            response = self._thread.submit(request.build().send).result()
            content = bytes(response.bytes())
        except PyreqwestError as error:
            raise no_answer(url, error) from None
        if error := error_of(response, content, url):
            raise error
        return content

    def _without_job(self, job_id: int) -> CommandError:
        url = self._server.url
        return CommandError(f"there is no job {job_id} on {url} (never added, or deleted since)", Exit.NOT_FOUND)


def open_async(server: Server, connections: int) -> Client:
    """A client for many requests at once, at most `connections` of them."""
    return _configured(ClientBuilder(), server).max_connections(connections).build()


def _configured(builder: B, server: Server) -> B:
    headers = {"Authorization": f"Bearer {server.token}"} if server.token else {}
    builder = (
        builder.user_agent(f"queue-server-cli/{__version__}")
        .default_headers(headers)
        .follow_redirects(False)
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
    )
    # a proxy from the environment can't know our loopback
    return builder.no_proxy() if urlsplit(server.url).hostname in _LOOPBACK else builder
