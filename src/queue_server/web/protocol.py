"""uvicorn's HTTP/1.1 connection, with our answer to what is no HTTP, with limits for heads, and with less work.

uvicorn answers a request that can't be parsed with plain text and a warning on stderr, reads heads of any size for as
long as the client likes, drops its answer to a client that has closed its sending half, and loses the body of a request
that asks for an upgrade. It also sets and cancels a timer for each request, and writes each answer in two pieces with a
look at every header: half of what a durable accept costs is HTTP, so the common case is shorter here.
"""

import asyncio
from collections.abc import Iterable
from typing import cast
from urllib.parse import unquote

import httptools
from uvicorn._types import ASGI3Application, ASGIVersions
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from queue_server.web.errors import Failure, answer
from queue_server.web.presence import CUT_OFF, HUNG_UP, WHOLE

HEAD_LIMIT = 64 * 1024
"""Bytes of a request's first line and headers. One that arrives in a single read may be a little larger."""

HEAD_TIME_S = 30.0
"""A client that sends its head slower than this is cut off; so is one that connects and sends nothing."""

ASGI: ASGIVersions = {"version": "3.0", "spec_version": "2.3"}

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
    _idle_since: float | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """See asyncio.Protocol."""
        super().connection_made(transport)
        self._ways = {CUT_OFF: transport.abort, WHOLE: self._send_whole}
        self._limit_head_time()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._forget_head_timer()
        self._unset_keepalive_if_required()
        if self._answering is not None:
            self._answering.disconnected = True  # uvicorn tells only the last of several pipelined requests
            self._answering.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        self._idle_since = None
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
        self.url = b""
        self.expect_100_continue = False
        self.headers = []

    def on_headers_complete(self) -> None:
        """See httptools."""
        self._is_in_head = False
        self._forget_head_timer()
        if self.parser.should_upgrade():
            return
        version = self.parser.get_http_version()
        raw_path, query = _target(self.url)
        path = raw_path.decode("ascii")
        self.scope = {
            "type": "http",
            "asgi": ASGI,
            "http_version": version,
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme or "http",
            "root_path": "",
            "headers": self.headers,
            "state": self._ways.copy(),
            "method": self.parser.get_method().decode("ascii"),
            "path": unquote(path) if "%" in path else path,
            "raw_path": raw_path,
            "query_string": query,
        }
        before, app = self.cycle, cast("ASGI3Application", self.app)
        self.cycle = RequestResponseCycle(
            self.scope,
            self.transport,
            self.flow,
            self.logger,
            self.access_logger,
            self.access_log,
            self.server_state.default_headers,
            asyncio.Event(),
            self.expect_100_continue,
            version != "1.0" and self.parser.should_keep_alive(),
            self.on_response_complete,
        )
        if before is None or before.response_complete:  # pyright: ignore[reportUnnecessaryComparison]
            self._start_asgi_task(self.cycle, app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, app))

    def on_response_complete(self) -> None:
        """See uvicorn. An idle connection's timer is not set anew each time: it looks how long it has been idle."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            return
        self._idle_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._look_again_in(self.timeout_keep_alive)

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

    def _send_whole(self, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> bool:
        """Write an answer at once; False, and nothing was written, where the way through ASGI must be taken."""
        cycle = self._answering
        if cycle is None or cycle.response_started or cycle.disconnected or not cycle.keep_alive:
            return False
        if self.flow.write_paused or cycle.waiting_for_100_continue:
            return False
        cycle.response_started = cycle.response_complete = True
        lines = [STATUS_LINE[status]]
        lines += [b"%b: %b\r\n" % header for header in (*cycle.default_headers, *headers)]
        self.transport.write(b"".join((*lines, b"\r\n", body)))
        cycle.message_event.set()
        self.on_response_complete()
        return True

    def _look_again_in(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self._close_if_idle)

    def _close_if_idle(self) -> None:
        self.timeout_keep_alive_task = None
        if self._idle_since is None:
            return
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._look_again_in(left)
        elif not self.transport.is_closing():
            self.transport.close()

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


def _target(target: bytes) -> tuple[bytes, bytes]:
    """The path and the query of a request's target."""
    if target.startswith(b"/") and not target.startswith(b"//") and b"#" not in target:
        path, _, query = target.partition(b"?")
        return path, query
    parsed = httptools.parse_url(target)
    return parsed.path, parsed.query or b""


def _raw(failure: Failure, path: str) -> bytes:
    response = answer(failure, path)
    lines = [name + b": " + value for name, value in (*response.raw_headers, (b"connection", b"close"))]
    return STATUS_LINE[failure.status] + b"\r\n".join([*lines, b"", bytes(response.body)])
