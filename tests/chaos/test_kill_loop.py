"""kill -9 in a loop under load loses nothing, and the oracle that says so notices planted bugs."""

from pathlib import Path

import pytest

from tests.chaos.kill_loop import run_kill_loop
from tests.chaos.planting import planted
from tests.chaos.variants import acknowledge_before_commit, no_fence_and_rescue_while_running


def assert_kept(folder: Path, rounds: int) -> list[float]:
    run = run_kill_loop(folder, rounds)
    print(run)
    assert run.verdict.complaints == []
    assert run.verdict.accepted > rounds * 5
    assert run.verdict.duplicates <= rounds * 2 * 20
    return sorted(run.ready_s)


def test_kill_loop_loses_nothing(tmp_path: Path) -> None:
    assert_kept(tmp_path, 6)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_two_hundred_kills_lose_nothing_and_the_server_is_soon_ready(tmp_path: Path) -> None:
    ready = assert_kept(tmp_path, 200)
    assert ready[len(ready) // 2] < 2


@pytest.mark.long
@pytest.mark.timeout(300)
def test_oracle_notices_a_server_that_acknowledges_before_its_commit(tmp_path: Path) -> None:
    run = run_kill_loop(tmp_path, 5, program=planted(acknowledge_before_commit), drain_s=10)
    print(run)
    assert [text for text in run.verdict.complaints if text.startswith("I1")]


@pytest.mark.long
@pytest.mark.timeout(300)
def test_oracle_notices_a_server_without_fence_that_rescues_what_runs(tmp_path: Path) -> None:
    program = planted(no_fence_and_rescue_while_running)
    run = run_kill_loop(tmp_path, 2, program=program, target_delay=0.1, drain_s=20)
    print(run)
    assert [text for text in run.verdict.complaints if text.startswith(("I3", "I4"))]
