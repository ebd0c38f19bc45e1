"""No acceptance leaves the process before its fdatasync: seen in the order of the system calls."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.support.fixtures import Starter
from tests.support.server import PROGRAM
from tests.support.tools import needs
from tests.support.waiting import until

ADDS = 200
CALL = re.compile(r"^(?P<pid>\d+) +(?P<name>\w+)\((?P<rest>.*)$")
RESUMED = re.compile(r"^(?P<pid>\d+) +<\.\.\. (?P<name>\w+) resumed>")


@needs("strace")
def test_no_acceptance_is_sent_before_its_fdatasync(make_server: Starter, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    calls = "trace=fdatasync,fsync,pwrite64,write,writev,sendto,sendmsg"
    program = ("strace", "-f", "-y", "-qq", "-s", "256", "-e", calls, "-o", str(trace), *PROGRAM)
    server = make_server("--shutdown-grace", "0", program=program)
    server.start()
    try:
        ids = [server.add({"type": "http", "url": "http://127.0.0.1:9/"}, delay=3600) for _ in range(ADDS)]
    finally:
        _stop(server.pid)
    server.ended()
    if "ptrace" in server.log:
        pytest.skip("strace may not trace here")
    assert len(ids) == ADDS
    early, answers, syncs = examine(trace)
    print(f"{answers} acceptances, {syncs} fdatasyncs of the log, {early} too early")
    assert answers == ADDS
    assert syncs >= ADDS
    assert early == 0


def examine(trace: Path) -> tuple[int, int, int]:
    """Acceptances sent while something written to the log was not yet synced, or with nothing synced since the last."""
    is_dirty = has_synced = False
    early = answers = syncs = 0
    syncing: set[str] = set()
    for line in trace.read_text(errors="replace").splitlines():
        if resumed := RESUMED.match(line):
            if resumed["pid"] in syncing and resumed["name"] in ("fdatasync", "fsync"):
                syncing.discard(resumed["pid"])
                syncs, is_dirty, has_synced = syncs + 1, False, True
            continue
        if not (call := CALL.match(line)):
            continue
        is_log = "q.db-wal>" in call["rest"].partition(",")[0]
        if call["name"] == "pwrite64" and is_log:
            is_dirty = True
        elif call["name"] in ("fdatasync", "fsync") and is_log:
            if "<unfinished" in line:
                syncing.add(call["pid"])
            else:
                syncs, is_dirty, has_synced = syncs + 1, False, True
        elif 'status\\":\\"OK\\"' in line:
            answers += 1
            early += is_dirty or not has_synced
            has_synced = False
    return early, answers, syncs


def _stop(strace: int) -> None:
    """End the traced server; strace ends with it."""

    def children() -> list[str]:
        return Path(f"/proc/{strace}/task/{strace}/children").read_text().split()

    (server, *_) = until(children)
    subprocess.run(["kill", "-TERM", server], check=True)


def test_examiner_notices_an_answer_before_its_sync(tmp_path: Path) -> None:
    """The canary of the test above."""
    trace = tmp_path / "trace"
    write, sync = '7 pwrite64(9</x/q.db-wal>, "", 4096, 0) = 4096', "7 fdatasync(9</x/q.db-wal>) = 0"
    answer = '5 write(12<socket:[1]>, "HTTP/1.1 200 OK {\\"status\\":\\"OK\\",\\"job_id\\":1}", 99) = 99'
    lines = [write, sync, answer, write, answer, sync, answer, answer]
    trace.write_text("\n".join(lines))
    assert examine(trace) == (2, 4, 2)
