"""Sending a request and getting its response, on a connection that is kept or a new one."""

import asyncio
from time import monotonic_ns

import msgspec

from queue_server.domain.target_items import ANYWHERE, TargetLimits
from queue_server.domain.targets import Targets
from queue_server.executors.http_client.failures import RequestFailed, RequestTimedOut
from queue_server.executors.http_client.origin import Origin, Resource
from queue_server.executors.http_client.pool import Pool
from queue_server.executors.http_client.response import Response


class Message(msgspec.Struct, frozen=True):
    """A request as it is sent."""

    method: str
    resource: Resource
    data: bytes

    def __repr__(self) -> str:
        return f"Message({self.method} {self.resource.origin.place})"


class Client:
    """Sends requests to where `targets` allows."""

    def __init__(self, connect_timeout: float, targets: Targets) -> None:
        self._pool = Pool(connect_timeout, targets)

    async def send(
        self, message: Message, response: Response, time_limit: float, limits: TargetLimits = ANYWHERE
    ) -> None:
        """Fill `response` within `time_limit` seconds; RequestFailed if that does not come about.

        `limits` are those of the job, beside the server's.

        What had come by then is in `response` all the same. A cancelled call drops the connection. A request is never
        sent twice, whatever its method: a mailing that is started by a GET must not be started again.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + time_limit
        origin = message.resource.origin
        connection = self._pool.take(origin, limits)
        if connection is None:
            connection = await self._pool.connect(origin, time_limit, limits)
            response.connected = monotonic_ns()
        else:
            response.connected = response.started
        timer = loop.call_at(deadline, connection.expire)
        try:
            await connection.exchange(message.data, response, is_head=message.method == "HEAD")
        except RequestTimedOut:
            raise _timed_out(origin, response, time_limit) from None
        except RequestFailed as failure:
            raise type(failure)(_broken_off(origin, response, str(failure))) from None
        finally:
            timer.cancel()
        self._pool.give_back(origin, connection)

    def close(self) -> None:
        """Close what is unused."""
        self._pool.close()


def _timed_out(origin: Origin, response: Response, time_limit: float) -> RequestTimedOut:
    if response.head:
        doing = f"while reading the response of {origin.place} ({response.size} bytes came)"
    else:
        doing = f"while waiting for the response of {origin.place}"
    return RequestTimedOut(f"timed out after {time_limit:g} s {doing}")


def _broken_off(origin: Origin, response: Response, why: str) -> str:
    if response.head:
        return f"the response of {origin.place} broke off after {response.size} bytes: {why}"
    return f"no proper response from {origin.place}: {why}"
