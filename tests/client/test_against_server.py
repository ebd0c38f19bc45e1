"""Both clients and the real server together: every request of the API once."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest

from queue_server.client import Client, Conflict, Deleted, IdempotencyMismatch, Invalid, NotFound, StillGoingOn
from tests.client.talking import Talk
from tests.support.waiting import until

LATER = timedelta(hours=1)


def finished(client: Client, script: str, **members: Any) -> int:
    """A job of this shell script that has ended."""
    return client.wait(client.add(cmd=script, **members).id, timeout=20).id


def test_a_job_is_added_awaited_and_read(real: Talk) -> None:
    added = real.call(
        "add", cmd="echo out; echo err >&2", queue="shell", key="k", tags={"a": "b"}, retention=LATER, priority=7
    )
    assert (added.state, added.queue, added.key, added.tags, added.retention) == (
        "available",
        "shell",
        "k",
        {"a": "b"},
        3600,
    )
    job = real.call("wait", added.id, timeout=20)
    assert (job.state, job.outcome, job.exit_code, job.has_failed) == ("completed", "succeeded", 0, False)
    assert job.command == {"type": "exec", "cmd": "echo out; echo err >&2"}
    (attempt,) = real.call("attempts", job.id)
    assert (attempt.number, attempt.outcome, attempt.exit_code, attempt.output_size) == (1, "succeeded", 0, 4)
    assert attempt.duration >= 0
    assert attempt.queued >= 0
    assert real.call("output", job.id) == b"out\n"
    assert real.call("output", job.id, stream="stderr", attempt=1) == b"err\n"
    assert real.call("output", job.id, start=1, end=3) == b"ut"
    assert real.call("output", job.id, start=-2) == b"t\n"
    assert real.call("output", job.id, start=100) == b""


def test_an_idempotency_key_makes_one_job(real: Talk) -> None:
    key = f"key of {type(real).__name__}"
    first = real.call("add", url="http://127.0.0.1:9/", delay=LATER, idempotency_key=key)
    assert real.call("add", url="http://127.0.0.1:9/", delay=LATER, idempotency_key=key).id == first.id
    with pytest.raises(IdempotencyMismatch):
        real.call("add", url="http://127.0.0.1:9/other", delay=LATER, idempotency_key=key)
    real.call("cancel", first.id)
    real.call("delete", first.id)
    with pytest.raises(Deleted):
        real.call("add", url="http://127.0.0.1:9/", delay=LATER, idempotency_key=key)
    own = {"command": {"type": "http", "url": "http://127.0.0.1:9/"}, "delay": 99, "idempotency_key": key + "2"}
    assert real.call("add", own).id == real.call("add", msgspec.json.encode(own)).id


def test_mistakes_are_found_by_their_place(real: Talk) -> None:
    with pytest.raises(Invalid) as caught:
        real.call("add", url="http://", tags={"a b": "c"})
    assert {"/command/url", "/tags/a b"} <= {error.pointer for error in caught.value.errors}


def test_many_are_added_in_chunks(real: Talk) -> None:
    context = f"many of {type(real).__name__}"
    jobs = [{"command": {"type": "http", "url": "http://127.0.0.1:9/"}, "delay": 9999, "context": context}] * 25
    ids = real.call("add_many", jobs, chunk=10)
    assert ids == sorted(set(ids))
    assert [job.id for job in real.items("jobs", context=context)] == ids[::-1]
    again = real.call("add_many", jobs, chunk=10, idempotency_key=context)
    assert real.call("add_many", jobs, chunk=10, idempotency_key=context) == again
    with pytest.raises(Invalid) as caught:
        real.call("add_many", [*jobs, {"command": {"type": "http", "url": "no"}}], chunk=10)
    assert len(caught.value.added) == 20
    assert [error.pointer for error in caught.value.errors] == ["/25/command/url"]


def test_lists_are_filtered_and_sorted(real: Talk, client: Client) -> None:
    context = f"list of {type(real).__name__}"
    good = [finished(client, "exit 0", context=context, tags={"n": str(number)}) for number in range(3)]
    bad = finished(client, "exit 3", context=context, key="bad")
    before = client.get(good[0]).created_at
    waiting = client.add(cmd="true", context=context, delay=LATER).id

    def found(**filters: Any) -> list[int]:
        return [job.id for job in real.items("jobs", context=context, **filters)]

    assert found() == [waiting, bad, *good[::-1]]
    assert found(state="failed") == [bad]
    assert found(state=["completed", "scheduled"], sort="id") == [*good, waiting]
    assert found(sort="run_at", state="scheduled") == [waiting]
    assert found(key="bad") == [bad]
    assert found(tags={"n": "1"}) == [good[1]]
    assert found(type="http") == []
    assert found(created_after=before, ended_after=before, sort="ended_at") == [*good, bad]
    assert found(created_before=before) == []
    assert found(limit=2) == [waiting, bad]


def test_waiting_gives_up(real: Talk, client: Client) -> None:
    job_id = client.add(cmd="true", delay=LATER).id
    with pytest.raises(StillGoingOn) as caught:
        real.call("wait", job_id, timeout=0.3)
    assert caught.value.last.state == "scheduled"


def test_a_waiting_job_is_changed_and_run(real: Talk, client: Client) -> None:
    job_id = client.add(cmd="true", delay=LATER, key="k", tags={"a": "1"}).id
    changed = real.call(
        "update", job_id, {"priority": 900, "key": None, "tags": {"b": "2"}, "delay": timedelta(days=1)}
    )
    assert (changed.priority, changed.key, changed.tags) == (900, None, {"a": "1", "b": "2"})
    assert changed.run_at - changed.created_at > timedelta(hours=23)
    with pytest.raises(Invalid):
        real.call("update", job_id, {"priority": -1})
    assert real.call("explain", job_id).state == "scheduled"
    assert real.call("explain", job_id).sentence
    real.call("run", job_id)
    assert client.wait(job_id, timeout=20).state == "completed"
    with pytest.raises(Conflict):
        real.call("update", job_id, {"priority": 1})
    with pytest.raises(Conflict):
        real.call("run", job_id)


def test_jobs_are_cancelled_retried_and_deleted(real: Talk, client: Client) -> None:
    job_id = client.add(cmd="sleep 60").id
    until(lambda: client.get(job_id).state == "running")
    with pytest.raises(Conflict):
        real.call("delete", job_id)
    with pytest.raises(Conflict):
        real.call("retry", job_id)
    cancelled = real.call("cancel", job_id, reason="nobody needs it", wait=20)
    assert cancelled.state == "cancelled"
    assert "nobody needs it" in cancelled.reason
    again = real.call("retry", job_id, {"command": {"cmd": "echo again"}})
    assert again.state in ("available", "scheduled", "running")
    assert client.wait(job_id, timeout=20).state == "completed"
    assert real.call("output", job_id) == b"again\n"
    assert real.call("delete", job_id) is None
    with pytest.raises(NotFound):
        real.call("get", job_id)


def test_an_output_is_followed_through_its_attempts(real: Talk, client: Client) -> None:
    script = 'echo "attempt $QUEUE_ATTEMPT"; sleep 0.2; echo end; [ "$QUEUE_ATTEMPT" = 2 ]'
    job_id = client.add(cmd=script, retry={"max_attempts": 3, "min_delay": 0.1, "jitter": 0}).id
    seen = b"".join(real.items("follow_output", job_id))
    assert seen == b"attempt 1\nend\nattempt 2\nend\n"
    assert b"".join(real.items("follow_output", job_id, attempt=1)) == b"attempt 1\nend\n"
    assert b"".join(real.items("follow_output", job_id)) == b"attempt 2\nend\n"


def test_the_events_of_a_job_tell_its_life(real: Talk, client: Client) -> None:
    job_id = client.add(cmd='[ "$QUEUE_ATTEMPT" = 2 ]', retry={"max_attempts": 2, "min_delay": 0.2}, delay=0.2).id
    types = [event.type for event in real.items("events", job_id)]
    assert types[0] == "job"
    assert types[-1] == "job.completed"
    assert {"job.started", "job.retrying"} <= set(types)


def test_the_events_of_all_jobs_are_filtered_and_resumed(real: Talk, client: Client) -> None:
    context = f"events of {type(real).__name__}"
    job_id = client.add(cmd="true", context=context, delay=LATER).id
    of_job = real.items("events", job_id)
    assert next(of_job).job.id == job_id
    client.update(job_id, {"priority": 1})
    seen = next(of_job)
    of_job.close()
    assert (seen.type, seen.job_id, bool(seen.id)) == ("job.updated", job_id, True)
    client.update(job_id, {"priority": 2})
    client.cancel(job_id)
    resumed = real.items("events", last_event_id=seen.id, context=context, type=["job.cancelled", "job.failed"])
    event = next(resumed)
    resumed.close()
    assert (event.type, event.job_id, event.context) == ("job.cancelled", job_id, context)


def test_an_event_of_another_run_of_the_server_gets_a_reset(real: Talk) -> None:
    stream = real.items("events", last_event_id="of another run")
    assert next(stream).type == "reset"
    stream.close()


def test_many_jobs_are_changed_by_a_filter(real: Talk, client: Client) -> None:
    context = f"filter of {type(real).__name__}"
    ids = client.add_many([{"command": {"type": "exec", "cmd": "true"}, "delay": 9999, "context": context}] * 30)
    assert real.call("cancel_jobs", context=context, dry_run=True).matched == 30
    assert real.call("cancel_jobs", ids=ids[:2], dry_run=True).matched == 2
    begun = real.call("cancel_jobs", context=context, reason="too many")
    ended = real.call("wait_operation", begun.operation.id, timeout=30)
    assert (ended.state, ended.matched, ended.done, ended.skipped) == ("completed", 30, 30, 0)
    again = real.call("retry_jobs", context=context, state="cancelled", changes={"priority": 3, "delay": 9999})
    assert real.call("wait_operation", again.operation.id, timeout=30).done == 30
    assert {job.priority for job in client.jobs(context=context)} == {3}
    gone = real.call("delete_jobs", context=context)
    assert real.call("wait_operation", gone.operation.id, timeout=30).skipped == 30
    assert real.call("operation", gone.operation.id).action == "delete"
    assert gone.operation.id in [operation.id for operation in real.items("operations")]
    assert real.call("cancel_operation", gone.operation.id).state == "completed"


def test_statistics_and_the_description_are_there(real: Talk) -> None:
    stats = real.call("stats")
    assert stats.slots.total == 100
    assert "available" in stats.jobs
    assert msgspec.json.decode(real.call("openapi"))["openapi"].startswith("3.1")


def test_jobs_go_on_past_their_request(real: Talk, continuing: Any) -> None:
    job = real.call("add", url=continuing.url)
    job_id, claim = continuing.claims.get(timeout=20)
    assert job_id == job.id
    until(lambda: real.call("get", job_id).heartbeat_until)
    now = real.call("get", job_id)
    assert now.state == "running"
    beat = real.call("heartbeat", job_id, claim, timeout=120, message="half done")
    assert beat.heartbeat_until > now.heartbeat_until
    assert not beat.cancel_requested
    assert real.call("complete", job_id, claim, output="all done", exit_code=0).state == "completed"
    assert real.call("output", job_id) == b"all done"
    with pytest.raises(Conflict):
        real.call("heartbeat", job_id, claim)
    real.call("retry", job_id)
    _, claim = continuing.claims.get(timeout=20)
    until(lambda: real.call("get", job_id).heartbeat_until)
    failed = real.call("fail", job_id, claim, error="no disk", exit_code=28)
    assert (failed.state, failed.exit_code) == ("failed", 28)
    assert "no disk" in failed.error
