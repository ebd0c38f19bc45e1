"""One connection to a target: a request out, a response in, and again."""

import asyncio
import re
import select
from time import monotonic_ns

import httptools

from queue_server.domain.addresses import Address
from queue_server.domain.target_items import TargetLimits
from queue_server.executors.http_client.failures import ConnectionClosed, RequestFailed, RequestTimedOut
from queue_server.executors.http_client.response import HEAD_LIMIT, Response

END_OF_HEAD = re.compile(rb"\n\r?\n")  # five times as fast as one that starts with \r?
HAS_LENGTH = re.compile(rb"^(?:content-length:|transfer-encoding:.*\bchunked[ \t\r]*$)", re.IGNORECASE | re.MULTILINE)
NO_ANSWER = Response(0)

INTERIM_LIMIT = 32
"""Interim responses before the real one; a target that sends more keeps us busy."""


class Connection(asyncio.Protocol):
    """An asyncio protocol that carries one exchange at a time.

    After an exchange it is either `is_reusable`, or closed. Whatever arrives while none is under way closes it.
    `address` is what it is connected to, and `judged_by` the limits that allowed that last.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, address: Address | None = None) -> None:
        self._loop = loop
        self.address = address
        self.judged_by: TargetLimits | None = None
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._parser.set_dangerous_leniencies(lenient_optional_cr_before_lf=True)  # as RFC 9112 section 2.2 allows
        self._response = NO_ANSWER
        self._done: asyncio.Future[None] | None = None
        self._raw_head = b""
        self._interims = 0
        self._is_head_request = False
        self.is_reusable = False
        self.idle_since = 0.0

    async def exchange(self, request: bytes, response: Response, *, is_head: bool = False) -> None:
        """Send a request and fill `response`. RequestFailed when it breaks off; being cancelled closes the connection.

        `is_head` says that the method is HEAD, whose responses have a length but no body.
        """
        if self._transport is None:
            raise ConnectionClosed("the connection was closed")
        self._response = response
        self._raw_head = b""
        self._interims = 0
        self._is_head_request = is_head
        self.is_reusable = False
        self._done = self._loop.create_future()
        self._transport.write(request)
        try:
            await self._done
        except BaseException:
            self.close()
            raise
        finally:
            self._done = None
            self._response = NO_ANSWER  # an idle connection keeps nothing alive

    def is_silent(self) -> bool:
        """Whether nothing has arrived: neither bytes, which nobody asked for, nor the end of the connection."""
        channel = None if self._transport is None else self._transport.get_extra_info("socket")
        if channel is None or channel.fileno() < 0:
            return False
        arrivals = select.poll()
        arrivals.register(channel.fileno(), select.POLLIN | select.POLLRDHUP)
        return not arrivals.poll(0)

    def expire(self) -> None:
        """Time is up: end the exchange."""
        self._fail(RequestTimedOut)

    def close(self) -> None:
        """Drop the connection at once."""
        self.is_reusable = False
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._transport = transport  # pyright: ignore[reportAttributeAccessIssue] (create_connection makes a Transport)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        if self._done is None or self._done.done():
            self.close()
            return
        if not self._response.head:
            self._raw_head += data
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail(RequestFailed("the target wants to speak another protocol"))
        except httptools.HttpParserError as error:
            self._fail(RequestFailed(_parser_message(error)))
        else:
            if not self._response.head and len(self._raw_head) > HEAD_LIMIT:
                self._fail(RequestFailed(f"the response's headers are larger than {HEAD_LIMIT} bytes"))

    def eof_received(self) -> None:
        """See asyncio.Protocol. A body without a length ends with the connection (RFC 9112 section 6.3)."""
        self.is_reusable = False
        if self._response.head and not HAS_LENGTH.search(self._response.head):
            self._finish()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._transport = None
        self._fail(ConnectionClosed(_lost_message(exc)))

    def on_message_begin(self) -> None:
        """See httptools. What follows a response was not asked for; it must not answer the next request."""
        response = self._response
        if response.head:
            raise RequestFailed("more came than one response")
        response.begun = monotonic_ns()

    def on_headers_complete(self) -> None:
        """See httptools."""
        head, self._raw_head = END_OF_HEAD.split(self._raw_head.lstrip(b"\r\n"), 1)
        status = self._parser.get_status_code()
        if status < 200:  # an interim response (RFC 9110 section 15.2): the real one follows
            self._response.begun = 0
            self._interims += 1
            if self._interims > INTERIM_LIMIT:
                raise RequestFailed("too many interim responses")
            return
        self._response.take_head(status, head.removesuffix(b"\r"))
        self._raw_head = b""
        if self._is_head_request:
            self._finish()

    def on_body(self, body: bytes) -> None:
        """See httptools. Responses to HEAD and interim ones have no body, whatever is sent as one."""
        response = self._response
        if response.head and not self._is_head_request:
            response.take(body)
            if response.size > response.most:
                self._fail(RequestFailed(f"it is larger than {response.most} bytes (setting max_response)"))

    def on_message_complete(self) -> None:
        """See httptools."""
        if self._parser.get_status_code() < 200 or self._done is None or self._done.done():
            return
        self.is_reusable = self._parser.should_keep_alive() and self._is_sent()
        self._finish()

    def _is_sent(self) -> bool:
        """Whether the request has left: a target that answers before it has read all may not read the rest."""
        return self._transport is not None and not self._transport.get_write_buffer_size()

    def _finish(self) -> None:
        if self._done is not None and not self._done.done():
            self._done.set_result(None)

    def _fail(self, error: Exception | type[Exception]) -> None:
        self.is_reusable = False
        if self._done is not None and not self._done.done():
            self._done.set_exception(error)


def _parser_message(error: Exception) -> str:
    if isinstance(error.__context__, RequestFailed):
        return str(error.__context__)
    return str(error).partition(" at ")[0] or type(error).__name__


def _lost_message(error: Exception | None) -> str:
    if error is None:
        return "the connection was closed"
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()
