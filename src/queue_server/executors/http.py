"""Runs http commands with pyreqwest.

Redirects are not followed, answers are not decompressed (a small gzip can hold gigabytes), proxies of the
environment are ignored. Connections are kept and used again, per client.
"""

from collections import OrderedDict
from collections.abc import Callable
from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from http import HTTPStatus

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import PyreqwestError
from pyreqwest.response import Response

from queue_server.domain.command import HttpCommand
from queue_server.domain.expect import HTTP_DEFAULT, HTTP_RANGE, expected_codes
from queue_server.domain.instants import EPOCH, MICROSECOND
from queue_server.domain.job import Job
from queue_server.domain.outcome import Outcome, OutcomeKind, Output
from queue_server.domain.placeholders import fill_http, values_for
from queue_server.executors.http_errors import outcome_of_error
from queue_server.executors.http_request import Request, request_of
from queue_server.executors.output import OutputBuffer

HEAD_LIMIT = 64 * 1024
CLIENTS_LIMIT = 16
"""Clients for short timeouts, beside the main one; a client costs 150 KB (measured 2026-11)."""

CONNECT_SHARE = 0.95
"""A job whose timeout is shorter than the connect timeout may use this share of it to connect, so that a timeout while
connecting can be told from one while waiting: the library reports both alike when only the total runs out."""


class HttpExecutor:
    """See Executor."""

    def __init__(
        self,
        *,
        version: str,
        output_limit: int,
        default_timeout: float,
        connect_timeout: float,
        now: Callable[[], int],
    ) -> None:
        self._user_agent = f"QueueServer/{version}"
        self._output_limit = output_limit
        self._default_timeout = default_timeout
        self._connect_timeout = connect_timeout
        self._now = now
        self._main = self._build_client(connect_timeout)
        self._short: OrderedDict[float, Client] = OrderedDict()

    async def start(self) -> None:
        """See Executor.start."""

    async def run(self, job: Job) -> Outcome:
        """See Executor.run."""
        command = job.plan.command
        if not isinstance(command, HttpCommand):
            raise TypeError(f"job {job.id} is not an http job")
        if job.may_have_placeholders:
            command = fill_http(command, values_for(job))
        timeout = command.timeout or self._default_timeout
        request = request_of(command, job)
        exchange = _Exchange(self._output_limit)
        try:
            await exchange.run(self._client(timeout), request, _seconds(timeout))
        except (PyreqwestError, ValueError) as error:
            outcome = outcome_of_error(error, request.url, timeout=timeout, received=exchange.received)
            return exchange.with_output(outcome)
        return self._judge(command, exchange)

    def kill_at_once(self) -> None:
        """See Executor.kill_at_once: requests are dropped at once anyway."""

    async def stop(self) -> None:
        """See Executor.stop."""
        for client in (self._main, *self._short.values()):
            await client.close()

    def _judge(self, command: HttpCommand, exchange: "_Exchange") -> Outcome:
        status = exchange.status
        if status in expected_codes(command.expect or HTTP_DEFAULT, HTTP_RANGE):
            return Outcome(OutcomeKind.SUCCEEDED, status, output=exchange.output())
        retry_after = None
        if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
            retry_after = parse_retry_after(exchange.header("retry-after"), self._now())
        error = _status_message(status, exchange.header("location"))
        return Outcome(OutcomeKind.FAILED, status, error=error, retry_after=retry_after, output=exchange.output())

    def _client(self, timeout: float) -> Client:
        if timeout > self._connect_timeout:
            return self._main
        client = self._short.pop(timeout, None) or self._build_client(timeout * CONNECT_SHARE)
        self._short[timeout] = client
        if len(self._short) > CLIENTS_LIMIT:
            self._short.popitem(last=False)  # its open requests end by themselves, then it is freed
        return client

    def _build_client(self, connect_timeout: float) -> Client:
        return (
            ClientBuilder()
            .user_agent(self._user_agent)
            .connect_timeout(timedelta(seconds=connect_timeout))
            .follow_redirects(enable=False)
            .no_proxy()
            .referer(enable=False)
            .gzip(enable=False)
            .brotli(enable=False)
            .zstd(enable=False)
            .deflate(enable=False)
            .pool_max_idle_per_host(1024)
            .build()
        )


class _Exchange:
    """One request and what came back so far, so that a failure half way still shows it."""

    def __init__(self, output_limit: int) -> None:
        self._limit = output_limit
        self._head = b""
        self._text = b""
        self._buffer: OutputBuffer | None = None
        self._response: Response | None = None
        self.status = 0

    @property
    def received(self) -> int | None:
        """Bytes of the body so far; None before the response's head has come."""
        if self._response is None:
            return None
        return self._buffer.size if self._buffer else len(self._text)

    async def run(self, client: Client, request: Request, time_limit: timedelta) -> None:
        """Send the request and read the response to its end."""
        builder = client.request(request.method, request.url).headers(request.headers)
        if request.body is not None:
            builder = builder.body_bytes(request.body)
        async with builder.timeout(time_limit).build_streamed() as response:
            self._response, self.status = response, response.status
            self._head = _head(response)
            read_chunk = response.body_reader.read_chunk
            while (chunk := await read_chunk()) is not None:
                self._take(bytes(chunk))

    def _take(self, chunk: bytes) -> None:
        """Keep a piece of the body. Most have one piece, which then needs no buffer."""
        if self._buffer is not None:
            self._buffer.feed(chunk)
        elif not self._text and len(chunk) <= self._limit:
            self._text = chunk
        else:
            self._buffer = OutputBuffer(self._limit)
            self._buffer.feed(self._text)
            self._buffer.feed(chunk)

    def header(self, name: str) -> str | None:
        """A header of the response."""
        return self._response.get_header(name) if self._response else None

    def output(self) -> Output:
        """What came back."""
        if self._buffer is None:
            return Output(self._text, b"", self._head, len(self._text))
        return Output(self._buffer.value(), b"", self._head, self._buffer.size)

    def with_output(self, outcome: Outcome) -> Outcome:
        """The outcome of a failed exchange, with what came before it failed."""
        if self._response is None:
            return outcome
        return Outcome(outcome.kind, self.status, error=outcome.error, output=self.output())


def parse_retry_after(text: str | None, now: int) -> float | None:
    """Seconds to wait by a Retry-After header: a number of seconds or a date (RFC 9110 section 10.2.3)."""
    if text is None:
        return None
    if text.strip().isdecimal():
        return float(text.strip()[:12])
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, ((moment - EPOCH) // MICROSECOND - now) / 1_000_000)


def _status_message(status: int, location: str | None) -> str:
    try:
        name = f"HTTP {status} {HTTPStatus(status).phrase}"
    except ValueError:
        name = f"HTTP {status}"
    return f"{name}: redirects are not followed (to {location})" if location and 300 <= status < 400 else name


def _head(response: Response) -> bytes:
    lines = "\r\n".join(map(": ".join, response.headers.items()))
    return f"{response.version} {response.status}\r\n{lines}".encode("utf-8", "replace")[:HEAD_LIMIT]


@lru_cache(maxsize=64)
def _seconds(timeout: float) -> timedelta:
    return timedelta(seconds=timeout)
