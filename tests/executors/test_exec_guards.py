"""What holds a command: limits, user, rights, and the sandbox."""

import asyncio
import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from queue_server.domain.errors import CannotStart, InvalidSetting
from queue_server.domain.named import NamedCommand, PathParameter
from queue_server.domain.outcome import Outcome, OutcomeKind
from queue_server.executors.exec import ExecExecutor
from queue_server.executors.programs import CommandRules
from tests.executors.builders import exec_job, executor, no_secrets, outcome_of
from tests.executors.guarded import PYTHON, STRANGER, needs_root, open_folder, rules

MIB = 1024 * 1024


def held(cmd: str, **wish: object) -> Outcome:
    return outcome_of(cmd, settings={"rules": rules(**wish)})


def test_command_gains_no_rights_dumps_no_core_and_writes_for_itself_only(tmp_path: Path) -> None:
    outcome = outcome_of("umask; ulimit -c; ulimit -Hc; grep NoNewPrivs /proc/self/status")
    assert outcome.output.text.split() == [b"0022", b"0", b"0", b"NoNewPrivs:", b"1"]


@pytest.mark.parametrize(
    ("wish", "option", "value"),
    [
        ({"memory": 512 * MIB}, "v", "524288"),
        ({"cpu": 1.5}, "t", "2"),
        ({"files": 77}, "n", "77"),
        ({"files": 20}, "n", "20"),
        ({"processes": 4321}, "p", "4321"),
        ({"file_size": MIB}, "f", "2048"),
    ],
)
def test_limits_hold_and_cannot_be_raised(wish: dict[str, object], option: str, value: str) -> None:
    outcome = held(f"ulimit -S{option}; ulimit -H{option}", run_as=STRANGER, **wish)
    assert outcome.output.text.decode().split() == [value, value], outcome


def test_command_that_wants_more_than_its_limits_fails(tmp_path: Path) -> None:
    outcome = held("head -c 2000000 /dev/zero >file", file_size=MIB) if os.chdir(tmp_path) is None else None
    assert outcome is not None
    assert (tmp_path / "file").stat().st_size == MIB
    assert outcome.exit_code == 128 + 25  # SIGXFSZ
    assert held("while :; do :; done", cpu=1).signal == "SIGKILL"
    greedy = f"{PYTHON} -c 'bytearray(600_000_000)'"
    assert b"MemoryError" in held(greedy, memory=400 * MIB).output.error_text


def test_limit_of_memory_that_lets_nothing_start_is_told() -> None:
    outcome = held("true", memory=4096)
    assert outcome.kind is OutcomeKind.FAILED


@needs_root
def test_command_runs_as_the_user_with_its_groups_and_environment() -> None:
    with open_folder() as folder:
        job = "id -un; id -gn; id -Gn; echo $HOME $USER $LOGNAME; touch mine; cat /etc/shadow"
        outcome = outcome_of(job, settings={"rules": rules(run_as="nobody")}, cwd=str(folder))
        entry = pwd.getpwnam("nobody")
        assert (folder / "mine").stat().st_uid == entry.pw_uid
    words = outcome.output.text.decode().splitlines()
    assert words[:1] == ["nobody"]
    assert words[3] == f"{entry.pw_dir} nobody nobody"
    assert b"Permission denied" in outcome.output.error_text


@needs_root
def test_user_cannot_enter_what_is_closed_to_it(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    outcome = outcome_of("pwd", settings={"rules": rules(run_as="nobody")}, cwd=str(closed))
    assert outcome.error == f"permission denied: cwd {closed}"


@needs_root
def test_program_that_the_user_may_not_run_is_told() -> None:
    with open_folder() as folder:
        program = folder / "program"
        program.write_text("#!/bin/sh\n")
        program.chmod(0o700)
        outcome = outcome_of(args=[str(program)], settings={"rules": rules(run_as="nobody")})
    assert outcome.error == f"permission denied: {program}"


def test_user_that_does_not_exist_stops_the_start() -> None:
    with pytest.raises(InvalidSetting, match="setting exec_run_as: there is no user 'no-such-user'"):
        ExecExecutor(output_limit=1, default_timeout=1, revealer=no_secrets(), rules=rules(run_as="no-such-user"))


NOT_ROOT = """
import os
from queue_server.executors.users import find_user
os.setresuid(65534, 65534, 65534)
find_user("root", "exec_run_as")
"""


@needs_root
def test_another_user_needs_root() -> None:
    result = subprocess.run([sys.executable, "-c", NOT_ROOT], capture_output=True, text=True, check=False)
    assert "CannotStart: setting exec_run_as: only a server that runs as root can run commands as root" in result.stderr


SANDBOXED = {"sandbox": "required", "run_as": STRANGER}


def sandbox_works() -> bool:
    probe = ["bwrap", "--ro-bind", "/", "/", "--unshare-pid", "--proc", "/proc", "--dev", "/dev", "true"]
    try:
        return subprocess.run(probe, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


in_sandbox = pytest.mark.skipif(
    not sandbox_works() and not (os.environ.get("CI") and shutil.which("bwrap") is None),
    reason="bwrap is not installed (which in CI is an error), or this kernel or container forbids what it does",
)


@in_sandbox
def test_sandbox_shows_the_machine_but_lets_nothing_be_changed() -> None:
    with open_folder() as folder:
        secret = folder / "q.db"
        secret.write_text("secret")
        secret.chmod(0o666)
        shared = folder / "shared"
        shared.mkdir(mode=0o777)
        shared.chmod(0o777)
        own = CommandRules(wish=rules(**SANDBOXED, writable=(str(shared),)).wish, hidden=(secret, folder / "q.db-wal"))
        cmd = f"touch {shared}/made && echo made; cat {secret} || echo hidden; touch {folder}/other || echo closed;"
        cmd += "ls /tmp; touch /usr/x || echo read-only; ls -d /proc/[0-9]* | wc -l; exit 7"
        outcome = outcome_of(cmd, settings={"rules": own}, cwd="/")
        assert (outcome.exit_code, (shared / "made").exists()) == (7, True)
        assert not (folder / "other").exists()
    words = outcome.output.text.decode().split()
    assert words[:2] == ["made", "hidden"], outcome
    assert "read-only" in words
    assert int(words[-1]) < 8


@in_sandbox
def test_sandboxed_command_reads_where_jobs_may_point() -> None:
    with open_folder() as folder:
        (folder / "upload").write_text("uploaded")
        named = NamedCommand(args=["cat", "{file}"], parameters={"file": PathParameter(within=str(folder))})
        held_so = CommandRules(commands={"it": named}, wish=rules(**SANDBOXED).wish)
        outcome = outcome_of(name="it", arguments={"file": f"{folder}/upload"}, settings={"rules": held_so})
    assert outcome.output.text == b"uploaded", outcome


@in_sandbox
def test_sandboxed_command_is_asked_to_end_before_it_is_killed() -> None:
    cmd = "trap 'echo cleaned; exit 5' TERM; echo ready; while :; do sleep 0.01; done"
    outcome = outcome_of(cmd, timeout=0.5, settings={"rules": rules(**SANDBOXED)})
    assert (outcome.kind, outcome.exit_code) == (OutcomeKind.TIMED_OUT, 5)
    assert outcome.output.text == b"ready\ncleaned\n"


@in_sandbox
def test_sandboxed_command_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    cmd = "trap '' TERM; echo ready; while :; do sleep 0.01; done"
    outcome = outcome_of(cmd, timeout=0.5, settings={"rules": rules(**SANDBOXED), "kill_after": 0.2})
    assert (outcome.kind, outcome.signal) == (OutcomeKind.TIMED_OUT, "SIGKILL")


def test_sandbox_that_is_required_and_missing_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("queue_server.executors.sandbox.WHERE", "/nowhere")
    with pytest.raises(CannotStart, match=r"exec_sandbox is required.*bwrap is not installed"):
        held("true", sandbox="required")


def test_sandbox_that_fails_is_warned_of_and_done_without(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho 'no permission to make namespaces' >&2; exit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr("queue_server.executors.sandbox.WHERE", str(tmp_path))
    warnings: list[str] = []

    async def scenario() -> bytes:
        async with executor(rules=rules(sandbox="bwrap"), warn=warnings.append) as started:
            return (await started.run(exec_job("echo runs"))).output.text

    assert asyncio.run(scenario()) == b"runs\n"
    assert warnings == [
        "commands run without their sandbox (exec_sandbox), which does not work here: no permission to make namespaces"
    ]
