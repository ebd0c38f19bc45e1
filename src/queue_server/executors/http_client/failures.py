"""What can go wrong with a request, named by the step that failed."""

import errno
import socket
import ssl


class RequestFailed(Exception):
    """The request did not get a whole response; the message is a sentence for the job's owner."""


class RequestTimedOut(RequestFailed):
    """Time was up, while connecting, waiting or reading."""


class ConnectTimedOut(RequestTimedOut):
    """Connecting took longer than it may, though the request still had time."""


class TargetRefused(RequestFailed):
    """The rules for targets forbid the host, or an address that its name stands for. Nothing was connected."""


class ConnectionClosed(RequestFailed):
    """The connection ended before the response did."""


def cannot_connect(error: Exception, place: str) -> RequestFailed:
    """Names why no connection came about."""
    match error:
        case socket.gaierror():
            message = f"can't resolve {place}: {error.strerror}"
        case UnicodeError():
            message = f"can't resolve {place}: it is no name of a host"
        case ssl.SSLCertVerificationError():
            message = f"TLS failed with {place}: {error.verify_message}"
        case ssl.SSLError():
            message = f"TLS failed with {place}: {(error.reason or str(error)).lower().replace('_', ' ')}"
        case ConnectionRefusedError():
            message = f"connection refused by {place}"
        case OSError() if error.errno == errno.EMFILE:
            message = f"can't connect to {place}: this server has too many files open (ulimit -n)"
        case _:
            why = getattr(error, "strerror", None) or str(error) or "the connection was closed"
            message = f"can't connect to {place}: {why}"
    return RequestFailed(message)
