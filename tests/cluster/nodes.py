"""Some server processes on one database."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.databases import run_sql
from tests.support.server import Server, assert_log_is_well, end
from tests.support.waiting import until

FLAGS = ("--exec", "any", "--shutdown-grace", "0", "--concurrency", "20", "--exec-concurrency", "20")
SLOTS = 20
SECRET_KEY = base64.b64encode(bytes(32)).decode()
SLEEP: Mapping[str, Any] = {"type": "exec", "cmd": "sleep 60"}


class Nodes:
    """Servers that are started one after the other, so that their node ids grow."""

    def __init__(self, url: str, folder: Path, count: int, flags: Sequence[str] = ()) -> None:
        self.url = url
        self._folder = folder
        self._flags = flags
        self.servers: list[Server] = []
        self._ids: dict[Server, int] = {}
        for _ in range(count):
            self.start()

    def start(self) -> Server:
        """One more node."""
        home = self._folder / f"node{len(self.servers)}"
        home.mkdir()
        server = Server(home, *FLAGS, *self._flags, db=self.url, environ={"QUEUE_SERVER_SECRET_KEY": SECRET_KEY})
        self.servers.append(server)
        return server.start()

    def run_on(self, server: Server, command: Mapping[str, Any] = SLEEP, **members: Any) -> int:
        """Have a job run on a node: the one that is asked takes it sooner than the others, as a rule."""
        for _ in range(50):
            job_id = server.add(command, **members)
            if self.node_of(server, job_id) == self.id_of(server):
                return job_id
            server.call("POST", f"/v1/jobs/{job_id}/cancel")
        raise AssertionError("no job has run on this node")

    def node_of(self, server: Server, job_id: int) -> int:
        """The id of the node that runs a job, or ran it last."""
        return until(lambda: server.job(job_id)["node_id"], 10, f"the start of job {job_id}")

    def id_of(self, server: Server) -> int:
        """A node's id, which its database tells."""
        if server not in self._ids:
            rows = run_sql(self.url, "select id from node order by id")
            self._ids = {one: row[0] for one, row in zip(self.servers, rows, strict=True)}
        return self._ids[server]

    def end(self) -> None:
        """End them in any case. None may have had an accident that only its log tells of."""
        for server in self.servers:
            end(server)
        for server in self.servers:
            assert_log_is_well(server)


@contextmanager
def nodes_on(url: str, folder: Path, count: int, *flags: str) -> Iterator[Nodes]:
    """Nodes that are ended at the end."""
    nodes = Nodes(url, folder, count, flags)
    try:
        yield nodes
    finally:
        nodes.end()
