"""uvicorn's HTTP/1.1 connection, with our answer to what is no HTTP, with limits for heads, and with less work.

uvicorn answers a request that can't be parsed with plain text and a warning on stderr, reads heads of any size for as
long as the client likes, drops its answer to a client that has closed its sending half, and loses the body of a request
that asks for an upgrade. It also sets and cancels a timer for each request, and writes each answer in two pieces with a
look at every header: half of what a durable accept costs is HTTP, so the common case is shorter here.

Who may connect is said by gate.py, what a head must be like by heads.py, how much bodies may hold by held.py, and what
becomes of answers that nobody takes by unsent.py.
"""

import asyncio
from collections.abc import Iterable, Sized
from typing import Any, cast
from urllib.parse import unquote

import httptools
from starlette.types import Scope
from uvicorn._types import ASGI3Application, ASGIVersions
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT, FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.utils import get_remote_addr

from queue_server.web.callers import caller_of
from queue_server.web.errors import Failure
from queue_server.web.gate import Gate
from queue_server.web.heads import (
    HEADERS_LIMIT,
    NOT_HTTP,
    TOO_MANY_HEADERS,
    URL_LIMIT,
    URL_TOO_LONG,
    check_head,
    check_host,
    check_transfer_encoding,
    failure_in,
    target_parts,
)
from queue_server.web.held import HeldBodies
from queue_server.web.presence import BODY, CUT_OFF, HUNG_UP, WHOLE
from queue_server.web.raw import raw_answer
from queue_server.web.signal import Signal
from queue_server.web.unsent import Unsent

HEAD_LIMIT = 64 * 1024
"""Bytes of a request's first line and headers. One that arrives in a single read may be a little larger."""

HEAD_TIME_S = 30.0
"""A client that sends its head slower than this is cut off; so is one that connects and sends nothing."""

REST_TIME_S = 30.0
"""How long the rest of a body may take to arrive once its request has been answered."""

FRAMING_LIMIT = 64 * 1024
FRAMING_PER_BYTE = 16
"""Bytes of chunk sizes, extensions and trailers that a body may come with: these, and so many for each of its own."""

SPECIAL = frozenset({b"host", b"transfer-encoding", b"expect"})
"""Headers that matter here and not only to the application."""

ASGI: ASGIVersions = {"version": "3.0", "spec_version": "2.3"}

HEAD_TOO_LARGE = Failure(431, f"the request's headers are larger than {HEAD_LIMIT} bytes")
HEAD_TOO_SLOW = Failure(408, f"the request's headers did not arrive within {HEAD_TIME_S:.0f} s")
TOO_MUCH_FRAMING = Failure(400, "the body's chunks have far more framing than content")
BROKEN_OFF = Failure(400, "the body is shorter than its Content-Length says, or its last chunk is missing")
STOPPING = Failure(503, "the server is stopping", headers={"Retry-After": "10"})

FIRST_REQUEST_S = 1.0
"""How long a server that stops waits for the first request of a client that had connected: it would be cut off for no
fault of its own, and in a rolling restart that happens many times."""


class Flow(FlowControl):
    """uvicorn's, but nothing more is read while requests wait for the answers of others before them.

    uvicorn reads on after each answer: a client that sends requests without end would fill the memory with them.
    """

    def __init__(self, transport: asyncio.Transport, waiting: Sized) -> None:
        super().__init__(transport)
        self._waiting = waiting

    def resume_reading(self) -> None:
        """Read on, unless requests wait."""
        if self.read_paused and not self._waiting:
            super().resume_reading()


class Protocol(HttpToolsProtocol):
    """One connection of a client."""

    url = b""
    idle_since: float | None = None
    _is_in_head = True
    _is_chunked = False
    _hosts = 0
    _host = b""
    _head_size = 0
    _head_timer: asyncio.TimerHandle | None = None
    _answering: RequestResponseCycle | None = None
    _arrived = 0
    _body_size = 0
    _is_last = False

    def __init__(self, gate: Gate, held: HeldBodies, **uvicorn: Any) -> None:
        super().__init__(**uvicorn)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=False)
        self._app = cast("ASGI3Application", self.app)
        self._gate = gate
        self._held = held

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """See asyncio.Protocol."""
        now = self.loop.time()
        refusal = self._gate.admit(self, get_remote_addr(transport), now)
        if refusal is not None:
            self._gate.turn_away(transport, refusal)
            return
        super().connection_made(transport)
        self._ways = {CUT_OFF: transport.abort, WHOLE: self._send_whole, BODY: self._take_body}
        self.flow = Flow(transport, self.pipeline)
        self._unsent = Unsent(transport, self.loop)
        self.idle_since = now
        self._limit_head_time()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        if self.transport is None:  # pyright: ignore[reportUnnecessaryComparison] (it was turned away)
            return
        self._gate.leave(self)
        self._forget_body()
        self._unsent.forget()
        self._forget_head_timer()
        self._unset_keepalive_if_required()
        if self._answering is not None:
            self._answering.disconnected = True  # uvicorn tells only the last of several pipelined requests
            self._answering.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        self.idle_since = None
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError as error:
            self.refuse(failure_in(error))
        except httptools.HttpParserUpgrade as wish:
            self._read_without_upgrade(data[wish.args[0] :])
        else:
            if self._is_in_head:
                self._check_head(len(data))
            elif self.cycle.more_body:
                self._check_body(len(data))

    def eof_received(self) -> bool:  # pyright: ignore[reportIncompatibleMethodOverride] (uvicorn never keeps it open)
        """See asyncio.Protocol: True keeps our half open, for an answer that is still owed."""
        if not self._is_answer_owed():
            return False
        if self.cycle.more_body:
            self.refuse(BROKEN_OFF)
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
        self._hosts = 0
        self._is_chunked = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """See httptools. What comes after a chunked body is dropped: it must not pass for the request's headers."""
        if not self._is_in_head:
            return
        name = name.lower()
        if name in SPECIAL:
            self._look_at(name, value)
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """See httptools."""
        version, headers, url = self.parser.get_http_version(), self.headers, self.url
        if version != "1.1" or self._hosts != 1 or len(headers) > HEADERS_LIMIT or len(url) > URL_LIMIT:
            check_head(version, self._hosts, len(headers), url, is_chunked=self._is_chunked)
        raw_path, query = target_parts(url, self._host)
        self._is_in_head = False
        self._forget_head_timer()
        if self.parser.should_upgrade():
            return
        self._arrived = self._body_size = 0
        path = raw_path.decode("ascii")
        self.scope = {
            "type": "http",
            "asgi": ASGI,
            "http_version": version,
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme or "http",
            "root_path": "",
            "headers": headers,
            "state": self._ways.copy(),
            "method": self.parser.get_method().decode("ascii"),
            "path": unquote(path) if "%" in path else path,
            "raw_path": raw_path,
            "query_string": query,
        }
        before, app = self.cycle, self._app
        self.cycle = RequestResponseCycle(
            self.scope,
            self.transport,
            self.flow,
            self.logger,
            self.access_logger,
            self.access_log,
            self.server_state.default_headers,
            Signal(),  # pyright: ignore[reportArgumentType]
            self.expect_100_continue,
            version != "1.0" and not self._is_last and self.parser.should_keep_alive(),
            self.on_response_complete,
        )
        if before is None or before.response_complete:  # pyright: ignore[reportUnnecessaryComparison]
            self._start_asgi_task(self.cycle, app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, app))

    def on_body(self, body: bytes) -> None:
        """See httptools."""
        cycle = self.cycle
        self._body_size += len(body)
        if cycle.response_complete:
            return
        cycle.body += body
        if len(cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        cycle.message_event.set()

    def on_response_complete(self) -> None:
        """See uvicorn. An idle connection's timer is not set anew each time: it looks how long it has been idle."""
        self.server_state.total_requests += 1
        if self._arrived:
            self._forget_body()
        if self.transport.is_closing():
            self._unsent.watch()
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            return
        if self.cycle.more_body:
            self._limit_rest_time()
        else:
            self._wait_for_request()

    def _wait_for_request(self) -> None:
        self.idle_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._look_again_in(self.timeout_keep_alive)

    def on_message_complete(self) -> None:
        """See httptools."""
        if self.parser.should_upgrade():
            return
        cycle, was_arriving = self.cycle, self.cycle.more_body
        cycle.more_body = False
        if not cycle.response_complete:
            cycle.message_event.set()
        elif was_arriving and not self.transport.is_closing():
            self._forget_head_timer()
            self._wait_for_request()

    @property
    def is_receiving(self) -> bool:
        """Whether the body of a request is still arriving that is not answered yet."""
        return self._is_answer_owed() and self.cycle.more_body

    def pause_writing(self) -> None:
        """See asyncio.Protocol: the client takes its answer more slowly than it is made."""
        super().pause_writing()
        self._unsent.watch()

    def resume_writing(self) -> None:
        """See asyncio.Protocol."""
        super().resume_writing()
        self._unsent.forget()

    def close_idle(self) -> None:
        """End a connection that waits for a request."""
        if not self.transport.is_closing():
            self.transport.close()
            self._unsent.watch()

    def shutdown(self) -> None:
        """See uvicorn. A request whose body is still on its way is not waited for."""
        if self._is_answer_owed() and self.cycle.more_body:
            self.refuse(STOPPING)
        elif self.cycle is None and not self._is_last:  # pyright: ignore[reportUnnecessaryComparison]
            self._is_last = True
            self.loop.call_later(FIRST_REQUEST_S, self._close_unused)
        else:
            super().shutdown()

    def _close_unused(self) -> None:
        if self.cycle is None:  # pyright: ignore[reportUnnecessaryComparison]
            self.close_idle()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._answering = cycle
        task = self.loop.create_task(cycle.run_asgi(app))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    def _look_at(self, name: bytes, value: bytes) -> None:
        """Take what a header says of the request itself."""
        if name == b"host":
            self._hosts += 1
            if value != self._host:
                check_host(value)
                self._host = value
        elif name == b"transfer-encoding":
            check_transfer_encoding(value)
            self._is_chunked = True
        elif value.lower() == b"100-continue":
            self.expect_100_continue = True

    def _take_body(self) -> bytes | None:
        """The whole body of the request that is being answered; None where `receive` has to wait for some of it."""
        cycle = self._answering
        if cycle is None or cycle.more_body or cycle.disconnected or cycle.response_complete:
            return None
        body = bytes(cycle.body)
        cycle.body.clear()
        cycle.message_event.clear()
        self.flow.resume_reading()
        return body

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
        if self.idle_since is None:
            if not self._is_in_head and not self._is_answer_owed() and not self.cycle.more_body:
                self.close_idle()  # only line ends came, which begin no request
            return
        left = self.idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._look_again_in(left)
        else:
            self.close_idle()

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
            self.refuse(NOT_HTTP)
            return
        headers = [b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(b"\r\n".join([b"%b %b HTTP/%b" % (method, self.url, version), *headers, b"", rest]))

    def _check_head(self, size: int) -> None:
        self._head_size += size
        if len(self.url) > URL_LIMIT:
            self.refuse(URL_TOO_LONG)
        elif self._head_size > HEAD_LIMIT:
            self.refuse(HEAD_TOO_LARGE)
        elif self._head_timer is None:
            self._limit_head_time()

    def _check_body(self, size: int) -> None:
        """Count what has arrived of a body that is not complete yet."""
        self._arrived += size
        if self._arrived > FRAMING_LIMIT + HEAD_LIMIT + FRAMING_PER_BYTE * self._body_size:
            self.refuse(TOO_MUCH_FRAMING)
        elif len(self.headers) > HEADERS_LIMIT:
            self.refuse(TOO_MANY_HEADERS)  # of its trailers
        elif not self.cycle.response_complete:
            self._held.grow(self, caller_of(cast("Scope", self.cycle.scope)), size)

    def _forget_body(self) -> None:
        self._arrived = 0
        self._held.release(self)

    def _limit_rest_time(self) -> None:
        """The rest of a body that was refused may come, so that the client gets to see why, but not for ever."""
        self._forget_head_timer()
        self._head_timer = self.loop.call_later(REST_TIME_S, self.close_idle)

    def _limit_head_time(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_TIME_S, self.refuse, HEAD_TOO_SLOW)

    def _forget_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _is_answer_owed(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete  # pyright: ignore[reportUnnecessaryComparison]

    def refuse(self, failure: Failure) -> None:
        """Answer instead of the application, and close. What was asked completely before is answered first."""
        if self.transport.is_closing():
            return
        if self._is_answer_owed():
            if self.pipeline and self.cycle.more_body:  # it waits for the answers of others
                self.pipeline.popleft()
                self.cycle = self.pipeline[0][0] if self.pipeline else cast("RequestResponseCycle", self._answering)
            self.cycle.keep_alive = False
            if self.cycle.response_started or not self.cycle.more_body:
                self.flow.pause_reading()
                return
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            self._forget_body()
        self.transport.write(raw_answer(failure, self.url.decode("latin-1")))
        self.transport.close()
        self._unsent.watch()
