"""Nodes behind a real pgbouncer, in both of its modes."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Generator
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

import pytest

from tests.cluster.nodes import Nodes, nodes_on
from tests.support.server import free_port
from tests.support.waiting import until

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="pgbouncer is not installed")

CONFIG = """
[databases]
* = host={host} port={server_port} user={user}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = 20
"""

Pooled = Callable[[str], str]


@pytest.fixture
def pooled(postgres_url: str) -> Generator[Pooled]:
    """Starts a pgbouncer in a mode in front of the database; the URL without options."""
    if os.environ.get("QS_TEST_POSTGRES") and "@127." not in postgres_url:
        pytest.skip("the server needs a password, which this pgbouncer does not know")
    started: list[subprocess.Popen[bytes]] = []

    def start(mode: str) -> str:
        url, port = urlsplit(postgres_url), free_port()
        config = CONFIG.format(host=url.hostname, server_port=url.port, user=url.username, port=port, mode=mode)
        with TemporaryDirectory() as folder:  # which another user can enter, unlike the tests' own
            Path(folder).chmod(0o755)
            file = Path(folder) / "pgbouncer.ini"
            file.write_text(config)
            assert PROGRAM is not None
            user = "nobody" if os.getuid() == 0 else None
            process = subprocess.Popen([PROGRAM, str(file)], user=user, stderr=subprocess.DEVNULL, cwd="/")
            started.append(process)
            until(lambda: is_listening(port), 10, "pgbouncer")
        return f"postgresql://{url.username}@127.0.0.1:{port}{url.path}"

    yield start
    for process in started:
        process.kill()
        process.wait()


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def works(nodes: Nodes) -> None:
    """Jobs run and end, and one node is told what happens on the other."""
    here, there = nodes.servers
    jobs = [here.add({"type": "exec", "cmd": "true"}) for _ in range(20)]
    assert {there.get(f"/v1/jobs/{job}?wait=20")["state"] for job in jobs} == {"completed"}
    job = nodes.run_on(there)
    begin = time.monotonic()
    assert here.call("POST", f"/v1/jobs/{job}/cancel").status in (200, 202)
    assert here.wait_end(job)["state"] == "cancelled"
    assert time.monotonic() - begin < 3


def test_nodes_work_behind_a_pooler_of_sessions(pooled: Pooled, tmp_path: Path) -> None:
    with nodes_on(pooled("session"), tmp_path, 2) as nodes:
        works(nodes)


def test_nodes_work_behind_a_pooler_of_transactions_that_only_look(
    pooled: Pooled, postgres_url: str, tmp_path: Path
) -> None:
    with nodes_on(pooled("transaction") + "?listen=off&prepared=off", tmp_path, 2) as nodes:
        nodes.url = postgres_url  # for the test's own questions
        works(nodes)
