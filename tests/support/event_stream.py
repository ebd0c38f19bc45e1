"""A client of event streams that hides nothing."""

import http.client
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tests.builders.event_streams import Told, told
from tests.support.server import Server


class EventStream:
    """One open stream. Everything that waits raises TimeoutError after `within_s` seconds without a byte."""

    def __init__(self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse) -> None:
        self.response = response
        self._connection = connection
        self._rest = b""

    def frames(self, within_s: float = 15) -> Iterator[Told]:
        """What comes, frame by frame, until the stream ends."""
        assert self._connection.sock
        self._connection.sock.settimeout(within_s)
        last_id = ""
        while line := self.response.readline():
            self._rest += line
            if line == b"\n":
                (frame,) = told(self._rest)
                self._rest = b""
                last_id = frame.id or last_id
                yield Told(last_id, frame.name, frame.data)
        assert not self._rest

    def events(self, count: int, within_s: float = 15) -> list[Told]:
        """The next events; fewer when the stream ends before."""
        found: list[Told] = []
        for frame in self.frames(within_s):
            if frame.name not in ("", ":"):
                found.append(frame)
                if len(found) == count:
                    break
        return found

    def seconds_to_end(self, within_s: float = 15) -> float:
        """How long it takes until the stream ends, whatever comes before."""
        start = time.monotonic()
        for _ in self.frames(within_s):
            """Not of interest."""
        return time.monotonic() - start

    def close(self) -> None:
        """Go away."""
        self.response.close()
        self._connection.close()


@contextmanager
def event_stream(
    server: Server, path: str = "/v1/events", headers: Mapping[str, str] | None = None
) -> Iterator[EventStream]:
    """An open stream; the server has taken us for a reader when the block begins."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=15)
    connection.request("GET", path, headers=dict(headers or {}))
    stream = EventStream(connection, connection.getresponse())
    try:
        assert stream.response.status == 200, stream.response.read()
        yield stream
    finally:
        stream.close()
