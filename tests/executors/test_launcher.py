"""The launcher's own parts: its channel, what it imports, how it leaves."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing

import pytest

from queue_server.domain.errors import CannotStart
from queue_server.executors.launcher.client import Launcher, Program
from queue_server.executors.launcher.marks import kill_marked, mark, marked_run
from queue_server.executors.launcher.messages import (
    Channel,
    Ended,
    Message,
    Ready,
    Refused,
    Signal,
    Start,
    close_all,
)
from tests.executors.builders import exec_job, executor, lives, until

HEAVY = {
    "asyncio",
    "typing_extensions",
    "msgspec",
    "apsw",
    "starlette",
    "structlog",
    "subprocess",
    "logging",
    "inspect",
}


@pytest.fixture
def channels() -> Iterator[tuple[Channel, Channel]]:
    one, other = (Channel(end) for end in socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET))
    with closing(one), closing(other):
        yield one, other


@pytest.mark.parametrize(
    "message",
    [
        Ready(),
        Start(1, [b"a", b"\xff"], {b"A": b"1"}, b"/"),
        Start(2, [b"x" * 100_000] * 30, {}, b"/"),
        Signal(3, 15),
        Refused(4, "no such program: ä"),
        Ended(5, -9),
    ],
    ids=lambda message: type(message).__name__,
)
def test_channel_carries_a_message_with_its_descriptors(channels: tuple[Channel, Channel], message: Message) -> None:
    one, other = channels
    readable, writable = os.pipe()
    one.send(message, [writable])
    received = other.receive()
    assert received is not None
    assert received[0] == message
    os.write(received[1][0], b"through")
    assert os.read(readable, 100) == b"through"
    close_all([readable, *received[1]])
    assert other.receive() is None


def test_channel_keeps_in_order_what_the_socket_does_not_take(channels: tuple[Channel, Channel]) -> None:
    one, other = channels
    for number in range(5_000):
        one.send(Ended(number, 0))
    assert one.has_waiting
    received = []
    while (message := other.receive()) is not None:
        received.append(message[0])
        one.flush()
    assert received == [Ended(number, 0) for number in range(5_000)]
    assert not one.has_waiting


def test_channel_tells_the_end_after_all_that_was_said(channels: tuple[Channel, Channel]) -> None:
    one, other = channels
    one.send(Ready())
    one.close()
    assert other.receive() == (Ready(), [])
    with pytest.raises(EOFError):
        other.receive()
    other.send(Ready())
    assert not other.has_waiting


def test_channel_that_is_closed_closes_the_descriptors_that_wait(channels: tuple[Channel, Channel]) -> None:
    one, _ = channels
    while not one.has_waiting:
        one.send(Ready())
    readable, writable = os.pipe()
    one.send(Ready(), [writable])
    one.close()
    assert os.read(readable, 1) == b""
    os.close(readable)


def test_launcher_process_imports_little() -> None:
    script = "import sys, queue_server.executors.launcher.__main__; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, check=True, text=True)
    assert not HEAVY & set(modules.stdout.split())


def test_launcher_that_cannot_answer_is_an_error_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")

    async def scenario() -> None:
        with pytest.raises(CannotStart, match="does not answer"):
            await Launcher.start()

    asyncio.run(scenario())


def test_executor_fails_runs_while_no_launcher_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with executor() as started:
            await started.stop()
            with monkeypatch.context() as patched:
                patched.setattr(sys, "executable", "/bin/false")
                outcome = await started.run(exec_job("true"))
                assert "does not answer" in (outcome.error or "")
            assert (await started.run(exec_job("true"))).exit_code == 0

    asyncio.run(scenario())


def test_launcher_ends_its_programs_when_it_is_closed() -> None:
    async def scenario() -> None:
        launcher = await Launcher.start()
        readable, writable = os.pipe()
        program = Program([b"/bin/sh", b"-c", b"trap '' TERM; echo $$; exec sleep 1000"], {b"PATH": b"/bin"}, b"/")
        run = launcher.run(program, [writable, os.dup(writable)])
        pid = int(await asyncio.to_thread(os.read, readable, 100))
        os.close(readable)
        assert lives(pid)
        await launcher.close()
        assert not lives(pid)
        assert run.end is not None

    asyncio.run(scenario())


@pytest.fixture
def marked() -> Iterator[subprocess.Popen[bytes]]:
    """A process that launcher 12 started for its run 34."""
    with subprocess.Popen(["sleep", "1000"], env={b"A": b"QUEUE_RUN=12.3", **mark(12, 34)}) as process:
        yield process
        process.kill()


def test_mark_names_the_run_of_one_launcher_only(marked: subprocess.Popen[bytes]) -> None:
    asyncio.run(until(lambda: marked_run(marked.pid, 12) == 34))  # the kernel shows it a moment after the start
    assert marked_run(marked.pid, 1) is None
    kill_marked(12)
    assert marked.wait(10) == -9


def test_mark_of_a_process_that_is_gone_is_none() -> None:
    with subprocess.Popen(["true"]) as process:
        process.wait()
    assert marked_run(process.pid, 12) is None
