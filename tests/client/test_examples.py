"""The examples run, word for word, against a real server."""

import re
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from queue_server.client import Client
from tests.cli.running import CommandLine
from tests.support.target import Target
from tests.support.waiting import until

FOLDER = Path(__file__).parents[2] / "examples" / "python"


@contextmanager
def running(name: str, server: CommandLine, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The example as a process, which is ended afterwards."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", str(FOLDER / name), *arguments],
        stdout=subprocess.PIPE,
        text=True,
        env=server.environment(),
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_every_example_is_tested() -> None:
    tests = Path(__file__).read_text("utf-8")
    assert [path.name for path in FOLDER.glob("*.py") if f'"{path.name}"' not in tests] == []


def test_a_job_is_added_and_awaited(server: CommandLine, target: Target) -> None:
    with running("add_and_wait.py", server, f"{target.url}/") as process:
        out, _ = process.communicate(timeout=30)
    assert process.returncode == 0, out
    assert re.search(r"job \d+ completed after 1 attempts: 200\nok", out)


def test_mistakes_are_told(server: CommandLine) -> None:
    with running("add_and_wait.py", server, "http://") as process:
        process.communicate(timeout=30)
    assert process.returncode == 1


def test_a_handler_goes_on_past_its_request(server: CommandLine, client: Client) -> None:
    with running("long_handler.py", server, "0") as process:
        assert process.stdout
        url = process.stdout.readline().split()[-1]
        done = client.add(url=f"{url}/report")
        assert client.wait(done.id, timeout=20).state == "completed"
        assert client.output(done.id) == b"/report is done\n"
        cancelled = client.add(url=f"{url}/long")
        until(lambda: client.get(cancelled.id).heartbeat_until)
        assert client.cancel(cancelled.id, wait=20).state == "cancelled"


def test_failures_are_printed_as_they_happen(server: CommandLine, client: Client) -> None:
    failed: list[int] = []
    with running("follow_events.py", server) as process:
        assert process.stdout
        assert process.stdout.readline() == "waiting for failures\n"
        while not select.select([process.stdout], [], [], 0.2)[0]:  # its stream may not be open yet
            failed.append(client.wait(client.add(cmd="exit 3").id, timeout=20).id)
        told = process.stdout.readline()
    found = re.match(r"\d\d:\d\d:\d\d  job (\d+): .", told)
    assert found
    assert int(found[1]) in failed
