"""What systemd is told (sd_notify(3))."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.fixtures import Starter


@contextmanager
def notify_socket(address: str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind("\0" + address[1:] if address.startswith("@") else address)
        channel.settimeout(20)
        yield channel


def test_systemd_hears_ready_watchdog_and_stopping(make_server: Starter, tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    with notify_socket(address) as channel:
        server = make_server(environ={"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "200000"})
        server.launch()
        messages: list[tuple[float, str]] = []

        def hear(wanted: str) -> None:
            while not (messages and messages[-1][1].startswith(wanted)):
                messages.append((time.monotonic(), channel.recv(4096).decode()))

        hear("READY=1")
        server.wait_ready()
        assert server.call("GET", "/readyz").status == 200
        beats = []
        for _ in range(6):
            messages.append((0, ""))
            hear("WATCHDOG=1")
            beats.append(messages[-1][0])
        assert (beats[-1] - beats[0]) / 5 < 0.2  # sooner than systemd loses patience
        server.signal(15)
        hear("STOPPING=1")
        assert server.ended() == 0
    ready = next(text for _, text in messages if text.startswith("READY=1"))
    assert f"STATUS=listening on {server.url}" in ready


def test_abstract_socket_of_systemd_is_understood(make_server: Starter, tmp_path: Path) -> None:
    address = f"@queue-server-test-{tmp_path.name}-{id(tmp_path)}"
    with notify_socket(address) as channel:
        make_server(environ={"NOTIFY_SOCKET": address}).start()
        assert channel.recv(4096).startswith(b"READY=1")


@pytest.mark.parametrize(
    "environ",
    [{"NOTIFY_SOCKET": "/nowhere/notify"}, {"NOTIFY_SOCKET": "", "WATCHDOG_USEC": "x"}, {"WATCHDOG_USEC": "0"}],
)
def test_server_runs_when_systemd_can_not_be_told(make_server: Starter, environ: dict[str, str]) -> None:
    server = make_server(environ=environ).start()
    assert server.call("GET", "/readyz").status == 200
    assert server.stop() == 0
