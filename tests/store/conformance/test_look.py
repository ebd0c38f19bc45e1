import pytest

from queue_server.domain.outcome import FAILED, SUCCEEDED, OutcomeKind, Output
from queue_server.domain.retry import Retry
from queue_server.domain.state import State
from tests.builders.jobs import NOW, decided, new_job
from tests.builders.stores import add_and_claim, claim


@pytest.mark.parametrize("job_id", [0, 1, -1, 2**53, 2**63 - 1, 2**63, 10**30])
async def test_unknown_job_is_none(store, job_id):
    assert await store.get(job_id) is None
    assert list(await store.attempts(job_id)) == []
    assert await store.output(job_id) is None
    assert await store.output(job_id, 1) is None


async def test_last_attempt_is_shown_with_the_job(store, node):
    retry = Retry(max_attempts=3, backoff="none")
    job = await add_and_claim(store, node, new_job(retry=retry))
    await store.turn([decided(job, FAILED, exit_code=500, error="HTTP 500", output=Output(b"one"))], None)
    (job,) = await claim(store, node)
    running = await store.get(job.id)
    assert (running.state, running.outcome, running.exit_code, running.error) == (
        State.RUNNING,
        FAILED,
        500,
        "HTTP 500",
    )
    await store.turn([decided(job, OutcomeKind.TIMED_OUT, now=NOW + 5, output=Output(b"two"))], None)
    (job,) = await claim(store, node, now=NOW + 5)
    await store.turn([decided(job, SUCCEEDED, now=NOW + 9, exit_code=200, output=Output(b"three"))], None)
    ended = await store.get(job.id)
    assert (ended.state, ended.outcome, ended.exit_code, ended.error) == (State.COMPLETED, SUCCEEDED, 200, None)
    assert ended.ended_at == NOW + 9
    attempts = await store.attempts(job.id)
    assert [(one.number, one.claim_seq, one.outcome) for one in attempts] == [
        (1, 1, FAILED),
        (2, 2, OutcomeKind.TIMED_OUT),
        (3, 3, SUCCEEDED),
    ]
    assert [(await store.output(job.id, n)).text for n in (1, 2, 3)] == [b"one", b"two", b"three"]
    assert (await store.output(job.id)).text == b"three"
    assert await store.output(job.id, 4) is None


async def test_job_that_never_ran_has_no_attempts(store):
    (job_id,) = await store.add([new_job()])
    assert list(await store.attempts(job_id)) == []
    assert await store.output(job_id) is None


async def test_counts_name_every_state(store):
    assert await store.counts() == dict.fromkeys(State, 0)
