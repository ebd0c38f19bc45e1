"""Requests that are awaited, any number at once. Works with asyncio."""

from collections.abc import Awaitable
from typing import TypeVar

from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import PyreqwestError
from pyreqwest.request import RequestBuilder, StreamRequest
from pyreqwest.response import Response

from queue_server.client.connection import Options, answer_of, configured, no_answer, prepared, understood
from queue_server.client.errors import ClientError
from queue_server.client.exchange import Answer, Request, Silence
from queue_server.client.reading import checked

T = TypeVar("T")


class AsyncConnection:
    """The way to one server."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._url = options.address.url
        self._clients: dict[Silence, Client] = {}
        self._was_reached = False

    async def send(self, request: Request) -> Answer:
        """The answer; a ClientError if there is none, or if it reports one."""
        response = await self.watched(self._prepared(request).build().send())
        return checked(answer_of(response, self._url, bytes(await response.bytes())), request)

    async def open(self, request: Request) -> "AsyncStream":
        """The answer, open; a ClientError as in `send`."""
        request_stream = self._prepared(request).build_streamed()
        stream = AsyncStream(self, request_stream, await self.watched(request_stream.__aenter__()))
        try:
            checked(await stream.head(self._url), request)
        except ClientError:
            await stream.close()
            raise
        return stream

    async def watched(self, call: Awaitable[T]) -> T:
        """What the call into pyreqwest returns; Unreachable for its errors."""
        try:
            result = await call
        except PyreqwestError as error:
            raise no_answer(self._url, error, was_reached=self._was_reached) from None
        self._was_reached = True
        return result

    async def close(self) -> None:
        """Give the connections back."""
        for client in self._clients.values():
            await client.close()

    def _prepared(self, request: Request) -> RequestBuilder:
        return prepared(self._client(request.silence).request(request.method, self._url + request.path), request)

    def _client(self, silence: Silence) -> Client:
        if silence not in self._clients:
            with understood():
                self._clients[silence] = configured(ClientBuilder(), self._options, silence).build()
        return self._clients[silence]


class AsyncStream:
    """An answer that is read piece by piece."""

    def __init__(self, connection: AsyncConnection, stream: StreamRequest, response: Response) -> None:
        self._connection = connection
        self._stream = stream
        self._response = response

    async def head(self, url: str) -> Answer:
        """The answer without its body, but with it if it is an error."""
        is_error = self._response.status >= 300
        body = bytes(await self._connection.watched(self._response.bytes())) if is_error else b""
        return answer_of(self._response, url, body)

    async def read(self) -> bytes | None:
        """The next bytes; None at the end."""
        data = await self._connection.watched(self._response.body_reader.read_chunk())
        return None if data is None else bytes(data)

    async def close(self) -> None:
        """Leave it."""
        await self._stream.__aexit__(None, None, None)
