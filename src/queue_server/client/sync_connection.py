"""Requests that block: one after the other, or an answer that stays open."""

import threading
from collections.abc import Callable
from typing import TypeVar

from pyreqwest.client import SyncClient, SyncClientBuilder
from pyreqwest.exceptions import PyreqwestError
from pyreqwest.request import SyncRequestBuilder, SyncStreamRequest

from queue_server.client.connection import Options, answer_of, configured, no_answer, prepared, understood
from queue_server.client.errors import ClientError
from queue_server.client.exchange import Answer, Request, Silence
from queue_server.client.interruptible import interruptible
from queue_server.client.reading import checked

T = TypeVar("T")


class SyncConnection:
    """The way to one server. It may be used by several threads at once."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._url = options.address.url
        self._clients: dict[Silence, SyncClient] = {}
        self._lock = threading.Lock()
        self._was_reached = False

    def send(self, request: Request) -> Answer:
        """The answer; a ClientError if there is none, or if it reports one."""
        response = self.watched(self._prepared(request).build().send)
        return checked(answer_of(response, self._url, bytes(response.bytes())), request)

    def open(self, request: Request) -> "SyncStream":
        """The answer, open; a ClientError as in `send`."""
        stream = SyncStream(self, self._prepared(request).build_streamed())
        try:
            checked(stream.head(self._url), request)
        except ClientError:
            stream.close()
            raise
        return stream

    def watched(self, call: Callable[[], T]) -> T:
        """What the call into pyreqwest returns; Unreachable for its errors."""
        try:
            result = interruptible(call)
        except PyreqwestError as error:
            raise no_answer(self._url, error, was_reached=self._was_reached) from None
        self._was_reached = True
        return result

    def close(self) -> None:
        """Give the connections back."""
        for client in self._clients.values():
            client.close()

    def _prepared(self, request: Request) -> SyncRequestBuilder:
        return prepared(self._client(request.silence).request(request.method, self._url + request.path), request)

    def _client(self, silence: Silence) -> SyncClient:
        with self._lock:
            if silence not in self._clients:
                with understood():
                    self._clients[silence] = configured(SyncClientBuilder(), self._options, silence).build()
            return self._clients[silence]


class SyncStream:
    """An answer that is read piece by piece."""

    def __init__(self, connection: SyncConnection, stream: SyncStreamRequest) -> None:
        self._connection = connection
        self._stream = stream
        self._response = connection.watched(stream.__enter__)

    def head(self, url: str) -> Answer:
        """The answer without its body, but with it if it is an error."""
        is_error = self._response.status >= 300
        body = bytes(self._connection.watched(self._response.bytes)) if is_error else b""
        return answer_of(self._response, url, body)

    def read(self) -> bytes | None:
        """The next bytes; None at the end."""
        data = self._connection.watched(self._response.body_reader.read_chunk)
        return None if data is None else bytes(data)

    def close(self) -> None:
        """Leave it. A thread does it: it waits for a read that Ctrl-C has left, which may take as long as it likes."""
        threading.Thread(target=self._stream.__exit__, args=(None, None, None), daemon=True).start()
