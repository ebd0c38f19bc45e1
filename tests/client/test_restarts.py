"""A server that is stopped and started again, and clients that do not mind."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from queue_server.client import Client
from tests.cli.real_server import running_server
from tests.client.talking import AsyncTalk, SyncTalk, Talk


class Restartable:
    """A server that can be stopped, and started again at the same address."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running = ExitStack()
        self.url = self._running.enter_context(running_server(folder)).url

    def restart(self) -> None:
        self.stop()
        self._running.enter_context(running_server(self._folder, int(self.url.rpartition(":")[2])))

    def stop(self) -> None:
        self._running.close()


@pytest.fixture
def restartable(tmp_path: Path) -> Iterator[Restartable]:
    server = Restartable(tmp_path)
    yield server
    server.stop()


@pytest.fixture(params=[SyncTalk, AsyncTalk], ids=["sync", "async"])
def patient(request: pytest.FixtureRequest, restartable: Restartable) -> Iterator[Talk]:
    with request.param(restartable.url, retry_for=30) as talk:
        yield talk


def test_jobs_are_added_while_the_server_restarts(restartable: Restartable) -> None:
    with Client(restartable.url, retry_for=30) as client:
        first = client.add(url="http://127.0.0.1:9/", delay=9999).id
        restart = threading.Thread(target=restartable.restart)
        restart.start()
        added = [first]
        while restart.is_alive():
            added.append(client.add(url="http://127.0.0.1:9/", delay=9999).id)
        assert [job.id for job in client.jobs(sort="id")] == added


def test_waiting_and_following_go_on_after_a_restart(patient: Talk, restartable: Restartable) -> None:
    job_id = patient.call("add", cmd="echo now", delay=2).id
    restart = threading.Thread(target=restartable.restart)
    restart.start()
    assert patient.call("wait", job_id, timeout=30).state == "completed"
    restart.join()
    assert b"".join(patient.items("follow_output", job_id)) == b"now\n"


def test_an_output_is_followed_over_a_restart(patient: Talk, restartable: Restartable) -> None:
    job_id = patient.call("add", cmd="echo $QUEUE_ATTEMPT; [ $QUEUE_ATTEMPT = 2 ] || sleep 60", timeout=90).id
    output: Iterator[Any] = patient.items("follow_output", job_id)
    assert next(output) == b"1\n"
    restart = threading.Thread(target=restartable.restart)
    restart.start()
    assert b"".join(output) == b"2\n"
    restart.join()


def test_events_tell_of_a_restart(patient: Talk, restartable: Restartable) -> None:
    job_id = patient.call("add", url="http://127.0.0.1:9/", delay=9999).id
    events = patient.items("events", job_id)
    assert next(events).type == "job"
    restartable.restart()
    patient.call("cancel", job_id)
    types = [event.type for event in events]
    assert types[-1] in ("job", "job.cancelled")
