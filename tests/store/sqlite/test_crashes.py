"""A process that is killed at any moment has lost nothing of what it had said was durable."""

import random
from pathlib import Path

import apsw
import pytest

from queue_server.domain.state import State
from tests.builders.processes import started
from tests.builders.stores import SqliteBackend, opened

WORKS_UNTIL_KILLED = Path(__file__).parent / "programs" / "works_until_killed.py"


def work_and_kill(path: Path, lines: int, *arguments: str) -> list[tuple[str, int]]:
    """Everything that a process said before it was killed, which was after so many lines."""
    with started(WORKS_UNTIL_KILLED, path, *arguments) as process:
        said = [process.stdout.readline() for _ in range(lines)]
        process.kill()
        said += process.stdout.readlines()
    assert len(said) >= lines
    complete = [line.decode().split() for line in said if line.endswith(b"\n")]
    return [(word, int(job_id)) for word, job_id in complete]


async def broken_promises(backend: SqliteBackend, facts: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Those of the facts that are not so in the file."""
    async with opened(backend) as store:
        assert await store.counts() == backend.recount()
        records = {job_id: await store.get(job_id) for job_id in {job_id for _, job_id in facts}}
    is_so = {"added": lambda record: record is not None, "ended": lambda record: record and record.state.is_final}
    return [(word, job_id) for word, job_id in facts if not is_so[word](records[job_id])]


@pytest.mark.parametrize("rounds", [4, pytest.param(200, marks=[pytest.mark.long, pytest.mark.timeout(1800)])])
async def test_killed_process_has_lost_nothing_that_it_acknowledged(backend, path, rounds):
    facts: list[tuple[str, int]] = []
    for _ in range(rounds):
        facts += work_and_kill(path, random.randint(1, 600))  # pytest-randomly prints the seed
        assert await broken_promises(backend, facts[-5000:]) == []
        assert _is_sound(path)
    added = [job_id for word, job_id in facts if word == "added"]
    assert len(set(added)) == len(added), "no id was given twice"


async def test_callback_exists_exactly_where_the_job_ended_in_a_killed_process(backend, path):
    work_and_kill(path, 400)
    async with opened(backend):
        pass
    query = """select count(*) from job left join (select parent_id, count(*) as callbacks from job group by 1) as child
        on child.parent_id = job.id
        where job.parent_id is null and coalesce(callbacks, 0) <> (job.state = 'completed')"""
    database = apsw.Connection(str(path))
    assert next(database.execute(query))[0] == 0
    assert next(database.execute("select count(*) from job where state = ?", (State.COMPLETED,)))[0] > 0
    database.close()


async def test_canary_that_acknowledges_before_it_commits_is_caught(backend, path):
    """The planted bug commits one transaction in fifty, so a kill finds a gap almost always; five rounds are plenty."""
    for _ in range(5):
        if await broken_promises(backend, work_and_kill(path, 200, "--acknowledge-before-commit")):
            return
    pytest.fail("the planted bug was not found: this test proves nothing")


def _is_sound(path: Path) -> bool:
    database = apsw.Connection(str(path))
    try:
        return database.pragma("integrity_check") == "ok"
    finally:
        database.close()
