"""The store against a model of it: whatever is done, in whatever order, both say the same."""

import asyncio
import contextlib
import tempfile
from collections import Counter
from pathlib import Path

import msgspec
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from queue_server.domain.errors import InvalidJob, JobDeleted, KeyMismatch
from queue_server.domain.job import Job, NewJob
from queue_server.domain.lifecycle import Transition, decide, overdue
from queue_server.domain.outcome import FAILED, SUCCEEDED, Outcome, OutcomeKind
from queue_server.domain.state import FINAL_STATES, WAITING_STATES
from queue_server.domain.wishes import CancelWish
from queue_server.store.contract import Claim, JobFilter, NewOperation, Rule, Slots, Step
from tests.builders import rules
from tests.builders.jobs import NOW, SECOND, moment, new_job, once
from tests.builders.life import kinds, members, patches, slots, wishes
from tests.builders.model import Model, is_change
from tests.builders.properties import limits
from tests.builders.stores import BACKENDS, all_jobs

LEASE = 15 * SECOND
EXAMPLES = {"mysql": 6, "postgres": 6}
"""Where each step is several round trips to a server and the test is quick."""


class StoreMachine(RuleBasedStateMachine):
    """Does to both what may be done to a store."""

    make_backend = staticmethod(BACKENDS["sqlite"])

    def __init__(self) -> None:
        super().__init__()
        self.leaving = contextlib.ExitStack()  # a machine may be made and dropped before its first step
        self.model = Model()
        self.claims: list[Job] = []
        self.heard: list[tuple[int, int]] = []
        self.done = self.skipped = 0
        self.now = NOW

    @initialize(jobs=st.lists(members, min_size=2, max_size=5))
    def begin(self, jobs) -> None:
        """Start with a few jobs, some of which run, and an operation that is under way."""
        self.backend = self.make_backend(Path(self.leaving.enter_context(tempfile.TemporaryDirectory())))
        self.runner = self.leaving.enter_context(asyncio.Runner())
        self.open()
        self.leaving.callback(lambda: self.run(self.store.close()))
        self.add(jobs)
        self.claim(3)
        new = NewOperation(
            action="cancel", filter=JobFilter(), reason="", changes="", last_id=1, matched=1, created_at=self.now
        )
        self.operation = self.run(self.store.add_operation(new))

    def open(self) -> None:
        self.store = self.run(self._open())
        self.node = self.run(self.store.register("here", 9, self.now))
        self.run(self.store.count_contexts())
        self.store.on_cancel(lambda job_id, claim_seq, _reason: self.heard.append((job_id, claim_seq)))

    def teardown(self) -> None:
        """Let go of everything."""
        self.leaving.close()

    @rule(jobs=st.lists(members, max_size=5))
    def add(self, jobs) -> None:
        rows = [self._row(**one) for one in jobs]
        assert list(self.run(self.store.add(rows))) == self.model.add(rows)

    @rule(jobs=st.lists(st.tuples(members, st.sampled_from([None, *"abc"]), st.sampled_from([b"x", b"y"])), max_size=4))
    def add_once(self, jobs) -> None:
        """Each key is kept until another time, so that it is known in which order they are forgotten."""
        until = self.now + 2 * SECOND + len(self.model.keys)
        asked = [key and once(key, ask, until=until + ord(key)) for _, key, ask in jobs]
        rows = [msgspec.structs.replace(self._row(**one), once=key) for (one, *_), key in zip(jobs, asked, strict=True)]
        before = self.model.highest
        expected = self.model.add_once(rows)
        if expected is None:
            with pytest.raises((KeyMismatch, JobDeleted, InvalidJob)):
                self.run(self.store.add_once(rows))
            return
        added = self.run(self.store.add_once(rows))
        assert list(added.ids) == expected
        new = [place for place, job_id in enumerate(expected) if job_id > before and job_id not in expected[:place]]
        assert added.replayed == set(range(len(rows))) - set(new)

    @rule(microseconds=st.sampled_from([1, SECOND, 3 * SECOND, -SECOND]))
    def wait(self, microseconds) -> None:
        self.now += microseconds

    @precondition(lambda self: self.claims)
    @rule(data=st.data(), slots=st.none() | slots, kinds=st.lists(kinds, min_size=1, max_size=4))
    def turn(self, data, slots, kinds) -> None:
        """End some of the last claims, also those that are no longer anybody's, and claim others."""
        changes = [self._decide(data.draw(st.sampled_from(self.claims[-6:])), kind) for kind in kinds]
        self._turn(changes, slots, is_prompt=data.draw(st.booleans()))

    @rule(total=st.sampled_from([1, 2, 6]))
    def claim(self, total) -> None:
        """Claim jobs, and end those that are overdue."""
        self._turn([], Slots(total, total, total), is_prompt=True)

    def _turn(self, changes, slots, *, is_prompt) -> None:
        wish = None if slots is None else Claim(self.node.id, slots, self.now)
        turn = self.run(self.store.turn(changes, wish))
        assert list(turn.applied) == self.model.apply_all(changes)
        if wish is None:
            assert (turn.claimed.jobs, turn.claimed.overdue) == ((), ())
            return
        taken, late = self.model.claim(wish)
        assert _alike(turn.claimed.jobs) == taken
        assert [_identity(one) for one in turn.claimed.overdue] == [_identity(one) for one in late]
        assert turn.claimed.next_due == self.model.next_due()
        self.claims += turn.claimed.jobs
        if is_prompt:
            self._end(turn.claimed.overdue)

    @rule(limit=st.integers(0, 4))
    def end_overdue(self, limit) -> None:
        late = self.run(self.store.overdue(self.now, limit))
        assert _alike(late) == self.model.overdue(self.now)[:limit]
        self._end(late)

    @rule(data=st.data(), wish=wishes, patch=patches, is_own=st.sampled_from([True, True, True, False]))
    def amend(self, data, wish, patch, is_own) -> None:
        """Have jobs changed, of which some may be gone; a report comes from the owner of the first one, or not."""
        ids = data.draw(st.lists(st.integers(1, self.model.highest), min_size=1, max_size=4, unique=True))
        first = self.model.rows.get(ids[0])
        self._amend(ids, self._rule(wish, patch, first.claim_seq if first and is_own else 1))

    @precondition(lambda self: self.model.lost())
    @rule(data=st.data())
    def go_on(self, data) -> None:
        """Have a running job go on at its target."""
        about = data.draw(st.sampled_from(self.model.lost()))
        self._turn([self._decide(about, OutcomeKind.CONTINUED)], None, is_prompt=True)

    @precondition(lambda self: self.model.lost())
    @rule(data=st.data(), kind=kinds)
    def cancel_as_it_ends(self, data, kind) -> None:
        """The wish comes when it has been decided already what becomes of the running job."""
        about = data.draw(st.sampled_from(self.model.lost()))
        change = self._decide(about, kind)
        self._amend([about.id], self._rule("cancel", b"", 1))
        self._turn([change], None, is_prompt=True)

    @precondition(lambda self: any(record.is_continued for record in self.model.rows.values()))
    @rule(data=st.data(), wish=st.sampled_from(["extend", "extend", "report", "report a failure", "cancel"]))
    def hear_from_a_target(self, data, wish) -> None:
        """Something comes about a job that goes on."""
        about = data.draw(st.sampled_from([record for record in self.model.rows.values() if record.is_continued]))
        self._amend([about.id], self._rule(wish, b"", about.claim_seq))

    def _amend(self, ids, asked) -> None:
        self.heard.clear()
        amended = self.run(self.store.amend(ids, asked, Step(operation_id=self.operation, next_id=0)))
        records = [self.model.rows[job_id] for job_id in ids if job_id in self.model.rows]
        assert [one.record for one in amended] == records
        answers = self.model.amend(ids, asked)
        assert [_comparable(one.answer) for one in amended] == [_comparable(answer) for answer in answers]
        assert self.heard == [(one.job_id, one.claim_seq) for one in answers if isinstance(one, CancelWish)]
        done = sum(map(is_change, answers))
        self.done, self.skipped = self.done + done, self.skipped + len(ids) - done

    @rule(age=st.sampled_from([0, SECOND, 100 * SECOND]), limit=st.integers(0, 4))
    def purge(self, age, limit) -> None:
        before = self.now - age
        old, keys = self.model.purgeable(before, self.now), self.model.forgettable(self.now)
        count = self.run(self.store.purge(dict.fromkeys(FINAL_STATES, before), self.now, limit))
        assert count == min(limit, len(old) + len(keys))
        gone = [job_id for job_id in old if self.run(self.store.get(job_id)) is None]
        assert len(gone) == min(limit, len(old)), "jobs come first"
        for job_id in gone:
            del self.model.rows[job_id]
        for key in keys[: count - len(gone)]:
            del self.model.keys[key]

    @rule()
    def reopen_and_rescue(self) -> None:
        if self.backend.is_shared:  # else it is gone by time only
            self.run(self.store.deregister(self.node.id))
        self.run(self.store.close())
        self.open()
        lost = self.run(self.store.expired(self.now, LEASE, 100))
        assert _alike(lost) == sorted(self.model.lost(), key=lambda one: one.id)
        changes = [self._decide(one, OutcomeKind.LEASE_EXPIRED) for one in lost]
        assert list(self.run(self.store.turn(changes, None)).applied) == self.model.apply_all(changes)

    @invariant()
    def counts_are_those_of_the_rows(self) -> None:
        assert self.run(self.store.counts()) == self.model.counts() == self.backend.recount()

    @invariant()
    def every_row_is_as_the_model_has_it(self) -> None:
        found = {record.id: record for record in self.run(all_jobs(self.store))}
        assert found == self.model.rows
        tagged = {job_id for job_id, record in self.model.rows.items() if (record.plan.tags or {}).get("a") == "1"}
        page = self.run(self.store.find_ids(JobFilter(tags={"a": "1"}), after=0, last=self.model.highest, limit=10_000))
        assert set(page.ids) == tagged

    @invariant()
    def waiting_jobs_of_contexts_are_counted(self) -> None:
        contexts = {record.context for record in self.model.rows.values()}
        waiting = Counter(record.context for record in self.model.rows.values() if record.state in WAITING_STATES)
        assert {one: self.run(self.store.waiting_in(one, 1000)) for one in contexts} == {
            one: waiting[one] for one in contexts
        }

    @invariant()
    def next_due_time_is_known(self) -> None:
        """A claim at the beginning of time makes nothing available."""
        turn = self.run(self.store.turn((), Claim(self.node.id, Slots(0, 0, 0), 0)))
        assert turn.claimed.next_due == self.model.next_due()

    @invariant()
    def keys_and_operation_are_as_the_model_has_them(self) -> None:
        assert self.backend.keys() == len(self.model.keys)
        operation = self.run(self.store.operation(self.operation))
        assert (operation.done, operation.skipped) == (self.done, self.skipped)

    def run(self, work):
        """What a coroutine of the store returns."""
        return self.runner.run(work)

    async def _open(self):
        return await self.backend.open()

    def _row(self, **of_job) -> NewJob:
        ttl, deadline = of_job.pop("ttl", None), of_job.pop("deadline", None)
        if ttl is not None:
            of_job["expires_at"] = self.now + ttl * SECOND
        if deadline is not None:
            of_job["deadline"] = self.now + deadline * SECOND
        return new_job(now=self.now, **of_job)

    def _rule(self, wish: str, patch: bytes, claim_seq: int) -> Rule:
        return {
            "cancel": rules.cancelling(now=self.now),
            "revise": rules.revising(patch, now=self.now),
            "retry": rules.retrying(patch, now=self.now),
            "run": rules.running_now,
            "remove": rules.removing,
            "extend": rules.extending(claim_seq, 3.0, "on", now=self.now),
            "report": rules.reporting(claim_seq, SUCCEEDED, now=self.now),
            "report a failure": rules.reporting(claim_seq, FAILED, now=self.now),
        }[wish]

    def _decide(self, about: Job, kind: OutcomeKind) -> Transition:
        retry_after = 1.0 if kind is OutcomeKind.SNOOZED else None
        return decide(about, Outcome(kind, retry_after=retry_after, heartbeat=2.0), moment(self.now))

    def _end(self, late) -> None:
        """End jobs that were overdue when they were found."""
        changes = [decide(one, overdue(one, self.now), moment(self.now)) for one in late]
        assert list(self.run(self.store.turn(changes, None)).applied) == self.model.apply_all(changes)


def _alike(jobs) -> list[Job]:
    """The jobs without the hint about placeholders, which may always be true."""
    return [msgspec.structs.replace(one, may_have_placeholders=True) for one in jobs]


def _identity(one: Job):
    return one.id, one.state, one.claim_seq, one.attempt, one.plan, one.is_cancel_wished, one.cancel_reason


def _comparable(answer):
    return str(answer) if isinstance(answer, InvalidJob) else answer


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("is_long", [False, pytest.param(True, marks=pytest.mark.long)])
@pytest.mark.parametrize("kind", BACKENDS)
def test_store_does_what_its_model_does_in_any_order(kind, is_long):
    examples = 1000 if is_long else EXAMPLES.get(kind, 20)
    machine = type("Machine", (StoreMachine,), {"make_backend": staticmethod(BACKENDS[kind])})
    run_state_machine_as_test(machine, settings=limits(examples, stateful_step_count=40))
