"""uvicorn's HTTP/1.1 connection, with our answer to what is no HTTP, and with limits for heads.

uvicorn answers a request that can't be parsed with plain text and a warning on stderr, reads heads of any size for as
long as the client likes, drops its answer to a client that has closed its sending half, and loses the body of a request
that asks for an upgrade.
"""

import asyncio

import httptools
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from queue_server.web.errors import Failure, answer
from queue_server.web.presence import CUT_OFF, HUNG_UP

HEAD_LIMIT = 64 * 1024
"""Bytes of a request's first line and headers. One that arrives in a single read may be a little larger."""

HEAD_TIME_S = 30.0
"""A client that sends its head slower than this is cut off; so is one that connects and sends nothing."""

NOT_HTTP = Failure(400, "this is not a valid HTTP/1.1 request")
HEAD_TOO_LARGE = Failure(431, f"the request's headers are larger than {HEAD_LIMIT} bytes")
HEAD_TOO_SLOW = Failure(408, f"the request's headers did not arrive within {HEAD_TIME_S:.0f} s")
BROKEN_OFF = Failure(400, "the body is shorter than its Content-Length says, or its last chunk is missing")
STOPPING = Failure(503, "the server is stopping", headers={"Retry-After": "10"})


class Protocol(HttpToolsProtocol):
    """One connection of a client."""

    _is_in_head = True
    _head_size = 0
    _head_timer: asyncio.TimerHandle | None = None
    _answering: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """See asyncio.Protocol."""
        super().connection_made(transport)
        self._limit_head_time()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._forget_head_timer()
        if self._answering is not None:
            self._answering.disconnected = True  # uvicorn tells only the last of several pipelined requests
            self._answering.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self._refuse(NOT_HTTP)
        except httptools.HttpParserUpgrade as wish:
            self._read_without_upgrade(data[wish.args[0] :])
        else:
            if self._is_in_head:
                self._check_head(len(data))

    def eof_received(self) -> bool:  # pyright: ignore[reportIncompatibleMethodOverride] (uvicorn never keeps it open)
        """See asyncio.Protocol: True keeps our half open, for an answer that is still owed."""
        if not self._is_answer_owed():
            return False
        if self.cycle.more_body:
            self._refuse(BROKEN_OFF)
        self.cycle.keep_alive = False
        self._tell_hung_up(self.cycle)
        if self._answering is not None:
            self._tell_hung_up(self._answering)
        return True

    def on_message_begin(self) -> None:
        """See httptools."""
        self._is_in_head = True
        self._head_size = 0
        super().on_message_begin()
        self.scope["state"][CUT_OFF] = self.transport.abort  # pyright: ignore[reportTypedDictNotRequiredAccess]

    def on_headers_complete(self) -> None:
        """See httptools."""
        self._is_in_head = False
        self._forget_head_timer()
        if not self.parser.should_upgrade():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """See httptools."""
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def shutdown(self) -> None:
        """See uvicorn. A request whose body is still on its way is not waited for."""
        if self._is_answer_owed() and self.cycle.more_body:
            self._refuse(STOPPING)
        else:
            super().shutdown()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._answering = cycle
        super()._start_asgi_task(cycle, app)

    def _tell_hung_up(self, cycle: RequestResponseCycle) -> None:
        """Wake an application that waits for nothing but the client's going."""
        cycle.scope["state"][HUNG_UP] = True  # pyright: ignore[reportTypedDictNotRequiredAccess]
        cycle.message_event.set()

    def _read_without_upgrade(self, rest: bytes) -> None:
        """Ignore the wish for another protocol (RFC 9110 section 7.8), which Java's HttpClient always has.

        The parser can't: it would take the body for the other protocol. A new one reads the request without the wish.
        """
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        if method == b"CONNECT":
            self._refuse(NOT_HTTP)
            return
        headers = [b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.data_received(b"\r\n".join([b"%b %b HTTP/%b" % (method, self.url, version), *headers, b"", rest]))

    def _check_head(self, size: int) -> None:
        self._head_size += size
        if self._head_size > HEAD_LIMIT:
            self._refuse(HEAD_TOO_LARGE)
        elif self._head_timer is None:
            self._limit_head_time()

    def _limit_head_time(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_TIME_S, self._refuse, HEAD_TOO_SLOW)

    def _forget_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _is_answer_owed(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete  # pyright: ignore[reportUnnecessaryComparison]

    def _refuse(self, failure: Failure) -> None:
        """Answer instead of the application, and close. What was asked completely before is answered first."""
        if self.transport.is_closing():
            return
        if self._is_answer_owed():
            self.cycle.keep_alive = False
            if self.cycle.response_started or not self.cycle.more_body:
                self.flow.pause_reading()
                return
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self.transport.write(_raw(failure, getattr(self, "url", b"").decode("latin-1")))
        self.transport.close()


def _raw(failure: Failure, path: str) -> bytes:
    response = answer(failure, path)
    lines = [name + b": " + value for name, value in (*response.raw_headers, (b"connection", b"close"))]
    return STATUS_LINE[failure.status] + b"\r\n".join([*lines, b"", bytes(response.body)])
