"""Naming what went wrong with a request: which step failed, with which host, and why."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from pyreqwest.exceptions import (
    BodyDecodeError,
    ConnectError,
    DetailedPyreqwestError,
    PyreqwestError,
    ReadTimeoutError,
    RequestTimeoutError,
)

from queue_server.domain.outcome import Outcome, OutcomeKind

_CONNECT = "client error (Connect)"
_TOP = "error sending request for url"


def outcome_of_error(error: Exception, url: str, *, timeout: float, received: int | None) -> Outcome:
    """The outcome of a request that raised `error`; `received` counts body bytes, None where no head was seen."""
    causes = _causes(error)
    place = _host(url)
    if isinstance(error, RequestTimeoutError):
        message = _timeout_message(error, causes, place, timeout, received)
        return Outcome(OutcomeKind.TIMED_OUT, error=message)
    return Outcome(OutcomeKind.FAILED, error=_failure_message(error, causes, place, received))


def _timeout_message(error: Exception, causes: Sequence[str], place: str, timeout: float, received: int | None) -> str:
    if _CONNECT in causes:
        return f"timed out while connecting to {place}"
    if received is not None or isinstance(error, ReadTimeoutError):
        return f"timed out after {timeout:g} s while reading the response of {place}{_came(received)}"
    return f"timed out after {timeout:g} s while waiting for the response of {place}"


def _failure_message(error: Exception, causes: Sequence[str], place: str, received: int | None) -> str:
    last = causes[-1] if causes else str(error)
    if not isinstance(error, PyreqwestError):
        return f"can't send this request to {place}: {error}"
    if isinstance(error, ConnectError) and _CONNECT in causes:
        return _connect_message(causes, place, last)
    if received is not None or isinstance(error, BodyDecodeError):
        return f"the response of {place} broke off{_came(received)}: {last}"
    return f"no proper response from {place}: {last}"


def _came(received: int | None) -> str:
    """How much of a body came. Not known when it ended within the first 64 KiB, which the library reads ahead."""
    return "" if received is None else f" ({received} bytes came)"


def _connect_message(causes: Sequence[str], place: str, last: str) -> str:
    if "dns error" in causes:
        return f"can't resolve {place}: {last.removeprefix('failed to lookup address information: ')}"
    if "tcp connect error" in causes:
        if "os error 111" in last:
            return f"connection refused by {place}"
        return f"can't connect to {place}: {last}"
    return f"TLS failed with {place}: {last}"


def _causes(error: Exception) -> list[str]:
    if not isinstance(error, DetailedPyreqwestError):
        return []
    messages = [cause["message"] for cause in error.details["causes"] or ()]
    return [message for message in messages if not message.startswith(_TOP)]


def _host(url: str) -> str:
    try:
        return urlsplit(url).netloc.rpartition("@")[2] or url
    except ValueError:
        return url.partition("?")[0]
