"""Takes the steps of an exchange, blocking."""

import time
from collections.abc import Iterator
from typing import Any, TypeVar, cast

from queue_server.client.errors import ClientError
from queue_server.client.exchange import Exchange, Item, Open, Pause, Read, Reply, Request, advanced, as_item
from queue_server.client.sync_connection import SyncConnection, SyncStream

T = TypeVar("T")


def result_of(connection: SyncConnection, exchange: Exchange[T]) -> T:
    """The exchange's result."""
    return next(items_of(connection, as_item(exchange)))


def items_of(connection: SyncConnection, exchange: Exchange[None]) -> Iterator[Any]:
    """The exchange's items, as they come."""
    steps = _Steps(connection)
    outcome: Reply | ClientError = None
    try:
        while (step := advanced(exchange, outcome)) is not None:
            if isinstance(step, Item):
                outcome = None
                yield step.value
            else:
                outcome = steps.outcome_of(step)
    finally:
        steps.close()


class _Steps:
    """Keeps the stream that the steps of one exchange read."""

    def __init__(self, connection: SyncConnection) -> None:
        self._connection = connection
        self._stream: SyncStream | None = None

    def outcome_of(self, step: Request | Pause | Open | Read) -> Reply | ClientError:
        try:
            return self._take(step)
        except ClientError as error:
            return error

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _take(self, step: Request | Pause | Open | Read) -> Reply:
        match step:
            case Request():
                return self._connection.send(step)
            case Pause():
                time.sleep(step.seconds)
            case Open():
                self.close()
                self._stream = self._connection.open(step.request)
            case Read():
                return cast("SyncStream", self._stream).read()
        return None
