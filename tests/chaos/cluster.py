"""Several nodes on one database under load, and what is known of the faults that struck them."""

import random
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from tests.chaos.database_server import DatabaseServer
from tests.chaos.dump import dump_url
from tests.chaos.oracle import EVERY_NODE, FINAL, Fault, Verdict, judge
from tests.support.databases import run_sql
from tests.support.server import PROGRAM, Server, end
from tests.support.waiting import until

SLOTS = 20
LEASE_S = 15.0
RECLAIM_S = LEASE_S + 3
DATABASE = "queue"
COUNTED_WITHIN_S = 10


class Cluster:
    """Nodes n1, n2, … on one database, on ports that stay the same."""

    def __init__(
        self, folder: Path, db: str, nodes: int, *flags: str, program: Sequence[str] = PROGRAM, slots: int = SLOTS
    ) -> None:
        self.folder = folder
        self.db = db
        self.look_at = db
        """Where the jobs are looked at: the one host of several that is the primary."""
        self.slots = slots
        self.faults: list[Fault] = []
        self.nodes = {f"n{number}": self._node(f"n{number}", flags, program) for number in range(1, nodes + 1)}

    def _node(self, name: str, flags: Sequence[str], program: Sequence[str]) -> Server:
        home = self.folder / name
        home.mkdir()
        given = ("--node-name", name, "--concurrency", str(self.slots), "--log-level", "warning", *flags)
        return Server(home, *given, db=self.db, program=program)

    @property
    def ports(self) -> list[int]:
        return [server.port for server in self.nodes.values()]

    def start(self, *names: str) -> None:
        """Start nodes, all if none is named; they take jobs when this returns."""
        with ThreadPoolExecutor() as threads:
            list(threads.map(lambda name: self.nodes[name].start_unread(), names or self.nodes))

    def kill(self, *names: str) -> None:
        """kill -9 of nodes."""
        for name in names:
            self.nodes[name].kill()
            self.struck(name)

    def struck(self, name: str = EVERY_NODE) -> None:
        """Note that a fault has struck a node, or the database and so all of them."""
        self.faults.append(Fault(name, time.time_ns() // 1000))  # noqa: TID251 (on the clock of the jobs)

    def assert_all_live(self) -> None:
        for name, server in self.nodes.items():
            assert server.process, name
            assert server.process.poll() is None, f"{name} ended with {server.process.returncode}: {server.log}"

    def drain(self, within_s: float) -> bool:
        """Whether every job has ended in time."""
        asked = f"select count(*) from job where state not in {FINAL}"
        try:
            return until(lambda: run_sql(self.look_at, asked)[0][0] == 0, within_s)
        except AssertionError:
            return False

    def judge(self, drain_s: float = 90) -> Verdict:
        """The verdict once every job has ended, and the nodes after it."""
        is_drained = self.drain(drain_s)
        told = self._counts_complaint()
        found = dump_url(self.look_at)  # while the rows of the nodes are there
        for server in self.nodes.values():
            end(server)
        verdict = judge(self.folder, found, self.slots, self.faults)
        if not is_drained:
            verdict.complaints.append(f"I1 not every job had ended {drain_s:.0f} s after the last fault")
        verdict.complaints += told
        for name, server in self.nodes.items():
            log = server.log_file.read_text("utf-8", "replace")
            verdict.complaints += [f"{name} logged: {line}" for line in log.splitlines() if "Traceback" in line]
        return verdict

    def _counts_complaint(self) -> list[str]:
        """Whether the counts that a node tells are those of the jobs, also after all that."""

        def differ() -> list[str]:
            counted = dict(run_sql(self.look_at, "select state, count(*) from job group by 1"))
            told = next(iter(self.nodes.values())).get("/v1/stats")["jobs"]
            return [
                f"counts: {told[state]} jobs are said to be {state}, {counted.get(state, 0)} are"
                for state in told
                if told[state] != counted.get(state, 0)
            ]

        try:
            until(lambda: not differ(), COUNTED_WITHIN_S)
        except AssertionError:
            return differ()
        return []


@contextmanager
def cluster_on(
    folder: Path, server: DatabaseServer, nodes: int, *flags: str, db: str | None = None, **settings: object
) -> Iterator[Cluster]:
    """A cluster that has started, on a new database of a server (under the URL `db` if one is given)."""
    server.sql(f"create database {DATABASE}")
    cluster = Cluster(folder, db or f"{server.url}/{DATABASE}", nodes, *flags, **settings)
    try:
        cluster.start()
        yield cluster
    finally:
        for node in cluster.nodes.values():
            end(node)


def other_port(url: str, port: int) -> str:
    """The URL with another port: that of a proxy."""
    parts = urlsplit(url)
    return parts._replace(netloc=f"{parts.username}@127.0.0.1:{port}").geturl()


def some_nodes(chance: random.Random, cluster: Cluster) -> list[str]:
    """One node mostly, sometimes more or all."""
    names = sorted(cluster.nodes)
    return chance.sample(names, chance.choice((1, 1, 1, 2, len(names))))
