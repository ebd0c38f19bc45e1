"""Nodes that die or stand still: their jobs run again elsewhere, soon, and their own work stops first."""

import signal
import time
from collections.abc import Callable

import pytest

from queue_server.store.contract import LEASE_S
from tests.cluster.nodes import Nodes
from tests.support.target import Reply, Target
from tests.support.waiting import until

pytestmark = [pytest.mark.long, pytest.mark.timeout(180)]

RESCUED_WITHIN_S = LEASE_S + 3
PAUSE_S = 3 * LEASE_S


def test_jobs_of_a_node_that_was_killed_run_again_on_another(start_nodes: Callable[..., Nodes]) -> None:
    nodes = start_nodes(2)
    here, there = nodes.servers
    job = nodes.run_on(there, {"type": "exec", "cmd": "sleep 300"})
    here_id = nodes.id_of(here)
    there.kill()
    killed_at = time.monotonic()
    until(lambda: here.job(job)["node_id"] == here_id, RESCUED_WITHIN_S + 5, "the rescue")
    took_s = time.monotonic() - killed_at
    assert took_s < RESCUED_WITHIN_S, took_s


def test_paused_node_stops_its_work_when_it_wakes(start_nodes: Callable[..., Nodes], target: Target, path: str) -> None:
    nodes = start_nodes(2)
    here, there = nodes.servers
    target.on(path, Reply(never=True), Reply(never=True), Reply(200))
    job = nodes.run_on(there, {"type": "http", "url": target.url + path})
    there.signal(signal.SIGSTOP)
    try:
        until(lambda: here.job(job)["node_id"] == nodes.id_of(here), RESCUED_WITHIN_S + 5, "the rescue")
        time.sleep(PAUSE_S - LEASE_S)
    finally:
        there.signal(signal.SIGCONT)
    woken_at = time.monotonic()
    until(lambda: "running jobs interrupted" in there.log, 5, "the end of its work")
    assert time.monotonic() - woken_at < 1.0
    until(lambda: "heartbeats are confirmed again" in there.log, 10)
    until(lambda: there.call("GET", "/readyz").status == 200, 5)
    assert here.job(job)["state"] == "running", "what the paused node knew was not written"
