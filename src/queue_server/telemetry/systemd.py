"""Telling systemd how the server is (sd_notify(3)): ready, alive, stopping. Does nothing elsewhere."""

import contextlib
import socket
from collections.abc import Mapping


class Systemd:
    """The notification socket, if systemd gave us one."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        self.watchdog_s = _watchdog_s(environ)

    def notify(self, state: str) -> None:
        """Send e.g. READY=1. A failure is nobody's business but systemd's."""
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.sendto(state.encode(), address)


def _watchdog_s(environ: Mapping[str, str]) -> float | None:
    """How often systemd wants to hear from us, in seconds; None if it does not."""
    text = environ.get("WATCHDOG_USEC", "")
    return int(text) / 1_000_000 if text.isdigit() and int(text) > 0 else None
