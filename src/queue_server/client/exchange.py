"""A talk with the server as a generator of steps, so that its rules are written once, for sync and async.

An exchange yields what it wants done, and is told the outcome: a Request or an Open is answered with an Answer, a
Read with bytes (None at the end of the stream), and a ClientError is raised where one happened. `sync_steps` and
`async_steps` take the steps.
"""

from collections.abc import Callable, Generator, Mapping
from enum import Enum
from typing import Any, Generic, TypeAlias, TypeVar, cast

import msgspec

from queue_server.client.errors import ClientError

T = TypeVar("T")


class Silence(Enum):
    """How long the server may say nothing before the answer or within it."""

    SHORT = "short"
    """As long as it takes to do what was asked."""
    HELD = "held"
    """It holds its answer back for up to a minute, or says something every 15 seconds."""
    ENDLESS = "endless"
    """Hours, for something that happens when it happens."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What is sent. `path` has the query. `subject` is what a 404 says is not there, such as `job 5`.

    `is_repeatable`: sent twice, it does the same as once.
    """

    method: str
    path: str
    body: bytes | None = None
    headers: Mapping[str, str] = {}
    subject: str = ""
    is_repeatable: bool = False
    silence: Silence = Silence.SHORT


class Answer(msgspec.Struct, frozen=True):
    """What came back from the server at `url`. Names of headers are in lower case.

    The body of an Open that succeeded is empty here: it is read by Read.
    """

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes = b""


class Call(msgspec.Struct, Generic[T], frozen=True):
    """A request, and how its answer is read; `read` raises a ClientError for one that is no success."""

    request: Request
    read: Callable[[Answer], T]


class Pause(msgspec.Struct, frozen=True):
    """Wait so long."""

    seconds: float


class Open(msgspec.Struct, frozen=True):
    """Send the request and keep its answer open for Read. An earlier one is closed."""

    request: Request


class Read(msgspec.Struct, frozen=True):
    """The next bytes of what is open."""


class Item(msgspec.Struct, frozen=True):
    """Hand this to whoever iterates."""

    value: Any


Step: TypeAlias = Request | Pause | Open | Read | Item
Reply: TypeAlias = Answer | bytes | None
Exchange: TypeAlias = Generator[Step, Reply, T]


def sent(request: Request) -> Exchange[Answer]:
    """The answer to the request."""
    return cast("Answer", (yield request))


def opened(request: Request) -> Exchange[Answer]:
    """The head of the answer, whose body is read piece by piece."""
    return cast("Answer", (yield Open(request)))


def chunks() -> Generator[Step, Reply, bytes | None]:
    """The next bytes of what is open; None at its end."""
    return cast("bytes | None", (yield Read()))


def as_item(exchange: Exchange[T]) -> Exchange[None]:
    """The exchange's result as the only item of another."""
    yield Item((yield from exchange))


def advanced(exchange: Exchange[Any], outcome: Reply | ClientError) -> Step | None:
    """The next step, after this outcome of the last one; None when there is none."""
    try:
        return exchange.throw(outcome) if isinstance(outcome, ClientError) else exchange.send(outcome)
    except StopIteration:
        return None
