"""Commands that were claimed ahead: none runs beyond the places, none is lost behind a long one."""

from pathlib import Path

from tests.support.fixtures import Starter


def test_command_behind_long_ones_is_put_off_and_runs_later(make_server: Starter, tmp_path: Path) -> None:
    server = make_server("--exec", "any", "--exec-concurrency", "1").start()
    for _ in range(10):
        server.run({"type": "exec", "args": ["true"]})  # short ones, so that some are claimed ahead
    release = tmp_path / "release"
    wait = {"type": "exec", "cmd": f"until [ -e {release} ]; do sleep 0.02; done"}
    ids = [server.add(wait) for _ in range(4)]
    running = server.wait_state(ids[0], "running")
    assert running["attempt"] == 1
    release.touch()
    assert [server.wait_end(job_id)["state"] for job_id in ids] == ["completed"] * 4
    outcomes = [a["outcome"] for job_id in ids for a in server.get(f"/v1/jobs/{job_id}/attempts")["items"]]
    assert set(outcomes) <= {"succeeded", "snoozed"}
    assert outcomes.count("succeeded") == 4


def test_never_more_commands_run_than_there_are_places(make_server: Starter, tmp_path: Path) -> None:
    server = make_server("--exec", "any", "--exec-concurrency", "2").start()
    log = tmp_path / "log"
    command = {"type": "exec", "cmd": f"echo in >>{log}; sleep 0.005; echo out >>{log}"}
    ids = [server.add(command) for _ in range(60)]
    assert {server.wait_end(job_id)["state"] for job_id in ids} == {"completed"}
    running = most = 0
    for line in log.read_text().splitlines():
        running += 1 if line == "in" else -1
        most = max(most, running)
    assert 1 <= most <= 2
