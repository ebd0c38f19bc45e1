"""A node that its database does not answer: it says so, keeps what it has, and goes on where it was."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.chaos.proxy import Proxy, proxy_to
from tests.cluster.nodes import FLAGS
from tests.support.server import Server, running, timed
from tests.support.target import Reply, Target
from tests.support.waiting import until


class Stage:
    """A server, and the way to its database."""

    def __init__(self, server: Server, way: Proxy) -> None:
        self.server = server
        self.way = way

    def lose(self) -> None:
        """Cut it off as a database does that has been stopped: new connections get nowhere either."""
        self.way.hold()
        self.way.cut()


@pytest.fixture
def stage(database: str, tmp_path: Path) -> Iterator[Stage]:
    parts = urlsplit(database)
    assert parts.port
    with proxy_to(parts.port) as way:
        db = parts._replace(netloc=f"{parts.username}@127.0.0.1:{way.port}").geturl()
        with running(tmp_path, *FLAGS, db=db) as server:
            yield Stage(server, way)
            way.release()


def test_outage_loses_nothing_and_is_a_few_lines_in_the_log(stage: Stage, target: Target, path: str) -> None:
    server = stage.server
    job = server.add({"type": "http", "url": target.on(path, Reply(delay=1.5))})
    server.wait_state(job, "running")
    stage.lose()
    seconds, answer = timed(server.call, "POST", "/v1/jobs", {"command": {"type": "http", "url": target.url}})
    assert (answer.status, seconds < 12) == (503, True)
    assert int(answer.headers["Retry-After"]) >= 1
    assert server.call("GET", f"/v1/jobs/{job}").status == 503
    assert server.call("GET", "/healthz").status == 200
    until(lambda: "the store can't be written" in server.log, 20)
    stage.way.release()
    until(lambda: "the store can be written again" in server.log, 20)
    assert until(lambda: server.call("GET", f"/v1/jobs/{job}").status == 200, 15)
    assert server.wait_end(job)["state"] == "completed"
    assert len(target.of(path)) == 1
    warnings = [line for line in server.log.splitlines() if "WARNING" in line and "store" in line]
    assert 1 <= len(warnings) <= 3, server.log  # a connection may be found to be lost after others are there again
