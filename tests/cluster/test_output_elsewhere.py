"""The output of a job is seen while it runs, whichever node is asked."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cluster.nodes import Nodes
from tests.end_to_end.test_live_output import exactly, following, gated
from tests.support.databases import run_sql
from tests.support.server import Server
from tests.support.waiting import until

MIB = 1024 * 1024


def test_output_is_followed_on_another_node_while_the_command_writes_it(nodes: Nodes, tmp_path: Path) -> None:
    here, there = nodes.servers
    job = nodes.run_on(there, gated(tmp_path, "echo one", "printf 'tw\\303\\266\\n'", "echo three; echo bad >&2"))
    with following(here, job) as response, following(here, job, "&stream=stderr") as errors:
        for n, line in enumerate([b"one\n", "twö\n".encode(), b"three\n"]):
            (tmp_path / str(n)).touch()
            assert exactly(response, len(line)) == line, "it comes before the next step"
        assert response.read() == b""
        assert errors.read() == b"bad\n"
    assert here.job(job)["state"] == "completed"


def test_who_comes_later_sees_all_from_the_beginning(nodes: Nodes, tmp_path: Path) -> None:
    here, there = nodes.servers
    job = nodes.run_on(there, gated(tmp_path, "echo one", "echo two", "true"))
    (tmp_path / "0").touch()
    with following(here, job) as first:
        assert exactly(first, 4) == b"one\n"
        with following(here, job) as second:
            assert exactly(second, 4) == b"one\n"
            (tmp_path / "1").touch()
            assert exactly(first, 4) == exactly(second, 4) == b"two\n"
            until(lambda: here.call("GET", f"/v1/jobs/{job}/output").body == b"one\ntwo\n")
            (tmp_path / "2").touch()
            assert first.read() == second.read() == b""


@pytest.mark.parametrize("lines", [5_000, 200_000])
def test_large_output_is_whole_or_says_what_is_missing(nodes: Nodes, tmp_path: Path, lines: int) -> None:
    """More than is kept is shown while it is written; what was not heard by the end comes from what is stored."""
    here, there = nodes.servers
    job = nodes.run_on(there, gated(tmp_path, "echo begin", f"seq {lines}"))
    (tmp_path / "0").touch()
    with following(here, job) as response:
        assert exactly(response, 6) == b"begin\n"
        (tmp_path / "1").touch()
        shown = response.read()
    stored = here.call("GET", f"/v1/jobs/{job}/output").body
    is_all_kept = lines == 5_000
    assert (b"bytes dropped" in stored) != is_all_kept
    assert shown.endswith(stored[-100:])
    whole = "".join(f"{n}\n" for n in range(1, lines + 1)).encode()
    parts = shown.split(b"\n[... ")
    assert whole.startswith(parts[0])
    assert len(parts) <= 2
    if is_all_kept:
        assert shown == whole


def test_follower_hears_of_the_end_when_the_node_is_killed(start_nodes: Callable[..., Nodes], tmp_path: Path) -> None:
    nodes = start_nodes(2)
    here, there = nodes.servers
    job = nodes.run_on(there, gated(tmp_path, "echo one", "echo two"))
    (tmp_path / "0").touch()
    with following(here, job) as response:
        assert exactly(response, 4) == b"one\n"
        there.kill()
        assert response.read() == b""
    until(
        lambda: nodes.node_of(here, job) == nodes.id_of(here), 20
    )  # it runs again there; what is heard is of one attempt
    here.call("POST", f"/v1/jobs/{job}/cancel")


def test_sending_stops_when_nobody_follows_any_more(nodes: Nodes, tmp_path: Path) -> None:
    here, there = nodes.servers
    job = nodes.run_on(there, gated(tmp_path, "echo one", "true"))
    (tmp_path / "0").touch()
    with following(here, job) as response:
        assert exactly(response, 4) == b"one\n"
        assert followed(nodes, here)
    until(lambda: not followed(nodes, here))
    (tmp_path / "1").touch()


def followed(nodes: Nodes, server: Server) -> str:
    """What the database says that a node follows."""
    return run_sql(nodes.url, f"select follows from node where id = {nodes.id_of(server)}")[0][0]
