"""What the sync and the async connection share: how pyreqwest is set up, asked and understood.

Traps of pyreqwest 0.15, found by trying:
- an open answer is handed over only once 64 KiB of it have come, unless its read buffer is set to 0;
- it raises ConnectError also for a connection that breaks later; the causes tell them apart;
- while it waits, a sync request does not hear Ctrl-C (see `interruptible`);
- the time limit of a read belongs to a client, not to a request, so answers that may be silent have their own client.
"""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import msgspec
from pyreqwest.client import BaseClientBuilder
from pyreqwest.exceptions import BuilderError, DetailedPyreqwestError, PyreqwestError, RequestTimeoutError
from pyreqwest.request import BaseRequestBuilder
from pyreqwest.response import BaseResponse

from queue_server import __version__
from queue_server.client.address import Address
from queue_server.client.certificates import FILE_VARIABLE, trusted, unusable
from queue_server.client.errors import Unreachable
from queue_server.client.exchange import Answer, Request, Silence

CONNECT_TIMEOUT = timedelta(seconds=10)
KEEPALIVE = timedelta(seconds=30)
"""A connection without a word for so long is asked whether the other end is there; without an answer it breaks."""
LONGEST_HOLD_S = 60.0
USER_AGENT = f"queue-server-python/{__version__}"
ANSWER_HEADERS = ("retry-after", "location", "content-range", "idempotent-replayed")

_NOT_CONNECTED = "client error (Connect)"
_NOT_TRUSTED = "invalid peer certificate"

C = TypeVar("C", bound=BaseClientBuilder)
B = TypeVar("B", bound=BaseRequestBuilder)


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How to connect. `timeout`: seconds without a byte after which an answer that should come soon is given up."""

    address: Address
    timeout: float = 60.0
    user_agent: str = USER_AGENT
    most_connections: int | None = None


def configured(builder: C, options: Options, silence: Silence) -> C:
    """The builder of a client for answers that may be silent so long."""
    address = options.address
    headers = {"Authorization": f"Bearer {address.token}"} if address.token else {}
    builder = (
        builder.user_agent(options.user_agent)
        .default_headers(headers)
        .follow_redirects(False)
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_keepalive(KEEPALIVE)
        .tcp_keepalive_interval(KEEPALIVE / 3)
        .tcp_keepalive_retries(3)
        .max_connections(options.most_connections)
    )
    if silence is not Silence.ENDLESS:
        held = LONGEST_HOLD_S if silence is Silence.HELD else 0.0
        builder = builder.read_timeout(timedelta(seconds=options.timeout + held))
    if certificates := trusted(address.url):
        builder = builder.add_root_certificate_pem(certificates)
    return builder.no_proxy() if address.is_loopback else builder


@contextmanager
def understood() -> Generator[None]:
    """InvalidSetting where a client can't be built, as it is only with certificates that are none."""
    try:
        yield
    except BuilderError:
        raise unusable() from None


def prepared(builder: B, request: Request) -> B:
    """The builder of a request, with its headers and its body."""
    builder = builder.headers(dict(request.headers)).streamed_read_buffer_limit(0)
    return builder if request.body is None else builder.body_bytes(request.body)


def answer_of(response: BaseResponse, url: str, body: bytes = b"") -> Answer:
    """What came back."""
    return Answer(url, response.status, _headers(response), body)


def no_answer(url: str, error: PyreqwestError, *, was_reached: bool) -> Unreachable:
    """The error for a server that could not be reached, or that did not answer to the end."""
    causes = _causes(error)
    reason = causes[-1].partition(" (os error")[0]
    reason = reason[:1].lower() + reason[1:]
    if isinstance(error, RequestTimeoutError):
        return Unreachable(f"{url} did not answer in time ({reason})", was_reached=was_reached)
    if _NOT_CONNECTED not in causes:
        return Unreachable(f"the connection to {url} broke ({reason})", was_reached=was_reached)
    hint = "is the server running? start it with: queue-server serve"
    if reason.startswith(_NOT_TRUSTED):
        hint = f"if it should be trusted, name a file with it or with its authority in the variable {FILE_VARIABLE}"
    return Unreachable(f"can't reach {url} ({reason}); {hint}", is_refused=True, was_reached=was_reached)


def _headers(response: BaseResponse) -> Mapping[str, str]:
    found = ((name, response.get_header(name)) for name in ANSWER_HEADERS)
    return {name: value for name, value in found if value is not None}


def _causes(error: PyreqwestError) -> list[str]:
    """The error in words, from the outermost cause to the innermost: `Connection refused (os error 111)`."""
    causes = (error.details["causes"] if isinstance(error, DetailedPyreqwestError) else None) or []
    return [error.message, *(cause["message"] for cause in causes)]
