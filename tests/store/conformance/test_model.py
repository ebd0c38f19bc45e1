"""The store against a model of it: whatever is done, in whatever order, both say the same."""

import asyncio
import tempfile
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

from queue_server.domain.job import PRIORITY_MAX, Job, NewJob
from queue_server.domain.lifecycle import Transition, decide
from queue_server.domain.outcome import OutcomeKind
from queue_server.domain.retry import Retry
from queue_server.domain.state import FINAL_STATES, State
from queue_server.store.contract import Claim, JobFilter, Slots
from tests.builders.jobs import EXEC, HTTP, NOW, SECOND, job, moment, new_job, outcome
from tests.builders.properties import limits
from tests.builders.stores import BACKENDS

LEASE = 15 * SECOND

new_jobs = st.builds(
    lambda command, delay, priority, done, attempts: (command, delay, priority, done, attempts),
    st.sampled_from([HTTP, EXEC]),
    st.sampled_from([-SECOND, 0, 0, 1, SECOND, 5 * SECOND]),
    st.sampled_from([0, 500, 1000]),
    st.booleans(),
    st.integers(1, 3),
)


class Row(msgspec.Struct):
    """What the model knows of a job."""

    added: NewJob
    state: State
    run_at: int
    claim_seq: int = 0
    attempt: int = 0
    refunded: int = 0
    losses: int = 0
    node_id: int | None = None
    ended_at: int | None = None
    reason: str = ""
    attempts: int = 0


class StoreMachine(RuleBasedStateMachine):
    """Does to both what may be done to a store."""

    make_backend = staticmethod(BACKENDS["sqlite"])

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.backend = self.make_backend(Path(self.folder.name))
        self.rows: dict[int, Row] = {}
        self.highest = 0
        self.claims: list[Job] = []
        self.now = NOW

    @initialize()
    def open(self) -> None:
        """Start with an empty database."""
        self.store = self.runner.run(self._open())
        self.node = self.runner.run(self.store.register("here", 9, self.now))

    def teardown(self) -> None:
        """Let go of everything."""
        self.runner.run(self.store.close())
        self.runner.close()
        self.folder.cleanup()

    @rule(jobs=st.lists(new_jobs, max_size=5))
    def add(self, jobs) -> None:
        rows = [
            new_job(
                command,
                now=self.now,
                delay=delay,
                priority=priority,
                callback_done=HTTP if done else None,
                retry=Retry(attempts, "fixed", 1.0, jitter=0),
            )
            for command, delay, priority, done, attempts in jobs
        ]
        self._added(self.runner.run(self.store.add(rows)), rows)

    @rule(seconds=st.sampled_from([0, 1, SECOND, 3 * SECOND]))
    def wait(self, seconds) -> None:
        self.now += seconds

    @rule(
        data=st.data(), total=st.integers(0, 6), http=st.integers(0, 6), exec_=st.integers(0, 6), claims=st.booleans()
    )
    def turn(self, data, total, http, exec_, claims) -> None:
        """End some of the claims ever made, also those that are no longer anybody's, and claim others."""
        about = data.draw(st.lists(st.sampled_from(self.claims), max_size=4)) if self.claims else []
        kinds = [data.draw(st.sampled_from(OutcomeKind)) for _ in about]
        transitions = [self._decide(one, kind) for one, kind in zip(about, kinds, strict=True)]
        wish = Claim(self.node.id, Slots(total, http, exec_), self.now) if claims else None
        turn = self.runner.run(self.store.turn(transitions, wish))
        assert list(turn.applied) == [self._applies(one) for one in transitions]
        self._add_callbacks(transitions, turn.applied)
        expected = self._claim(wish) if wish else []
        assert [(one.id, one.claim_seq, one.attempt, one.refunded, one.losses) for one in turn.claimed.jobs] == expected
        self.claims += turn.claimed.jobs
        if wish:
            due = [row.run_at for row in self.rows.values() if row.state is State.SCHEDULED]
            assert turn.claimed.next_due == min(due, default=None)

    @precondition(lambda self: self.rows)
    @rule(data=st.data())
    def cancel_a_waiting_job(self, data) -> None:
        job_id = data.draw(st.sampled_from(sorted(self.rows)))
        row = self.rows[job_id]
        if row.state in FINAL_STATES or row.state is State.RUNNING:
            return
        transition = self._decide(self._job(job_id, row), OutcomeKind.CANCELLED)
        turn = self.runner.run(self.store.turn([transition], None))
        assert list(turn.applied) == [self._applies(transition)] == [True]
        self._add_callbacks([transition], turn.applied)

    @rule(age=st.sampled_from([0, SECOND, 100 * SECOND]), limit=st.integers(0, 4))
    def purge(self, age, limit) -> None:
        before = self.now - age
        old = [job_id for job_id, row in self.rows.items() if row.ended_at is not None and row.ended_at < before]
        count = self.runner.run(self.store.purge(dict.fromkeys(FINAL_STATES, before), limit))
        assert count == min(limit, len(old))
        gone = [job_id for job_id in old if self.runner.run(self.store.get(job_id)) is None]
        assert len(gone) == count
        for job_id in gone:
            del self.rows[job_id]

    @rule()
    def reopen_and_rescue(self) -> None:
        self.runner.run(self.store.close())
        self.open()
        lost = self.runner.run(self.store.expired(self.now, LEASE, 100))
        assert sorted(one.id for one in lost) == sorted(i for i, row in self.rows.items() if row.state is State.RUNNING)
        transitions = [self._decide(one, OutcomeKind.LEASE_EXPIRED) for one in lost]
        turn = self.runner.run(self.store.turn(transitions, None))
        assert list(turn.applied) == [self._applies(one) for one in transitions]
        self._add_callbacks(transitions, turn.applied)

    @invariant()
    def counts_are_those_of_the_rows(self) -> None:
        counts = dict.fromkeys(State, 0)
        for row in self.rows.values():
            counts[row.state] += 1
        assert self.runner.run(self.store.counts()) == counts == self.backend.recount()

    @invariant()
    def every_row_is_as_the_model_has_it(self) -> None:
        found = self.runner.run(self.store.find(JobFilter(limit=10_000)))
        assert [record.id for record in found] == sorted(self.rows, reverse=True)
        for record in found:
            row = self.rows[record.id]
            assert (record.state, record.run_at, record.claim_seq, record.attempt, record.node_id) == (
                (row.state, row.run_at, row.claim_seq, row.attempt, row.node_id)
            )
            assert (record.ended_at, record.reason) == (row.ended_at, row.reason)
            assert (record.outcome is not None) == (row.attempts > 0)

    async def _open(self):
        return self.backend.open()

    def _decide(self, about: Job, kind: OutcomeKind) -> Transition:
        return decide(about, outcome(kind, retry_after=1.0 if kind is OutcomeKind.SNOOZED else None), moment(self.now))

    def _added(self, ids, rows) -> None:
        assert len(ids) == len(rows)
        for job_id, row in zip(ids, rows, strict=True):
            assert job_id > self.highest
            self.highest = job_id
            self.rows[job_id] = Row(row, row.state, row.run_at)

    def _applies(self, change: Transition) -> bool:
        """Apply a transition to the model."""
        row = self.rows.get(change.job_id)
        if row is None or change.changes_nothing:
            return False
        if (row.state, row.claim_seq) != (change.from_state, change.claim_seq):
            return False
        row.state, row.ended_at, row.node_id, row.reason = change.state, change.ended_at, None, change.reason
        row.refunded, row.losses = change.refunded, change.losses
        row.run_at = row.run_at if change.run_at is None else change.run_at
        row.attempts += change.attempt is not None
        return True

    def _add_callbacks(self, transitions, applied) -> None:
        callbacks = [row for one, done in zip(transitions, applied, strict=True) if done for row in one.callbacks]
        self._added(range(self.highest + 1, self.highest + 1 + len(callbacks)), callbacks)

    def _claim(self, wish: Claim) -> list[tuple[int, ...]]:
        """Take jobs in the model; (id, claim_seq, attempt, refunded, losses) of each."""
        free = {"http": wish.slots.http, "exec": wish.slots.exec}
        taken = []
        for row in self.rows.values():
            if row.state is State.SCHEDULED and row.run_at <= wish.now:
                row.state = State.AVAILABLE
        order = sorted(
            self.rows.items(), key=lambda item: (PRIORITY_MAX - item[1].added.priority, item[1].run_at, item[0])
        )
        for job_id, row in order:
            if row.state is State.AVAILABLE and free[row.added.type] > 0 and len(taken) < wish.slots.total:
                free[row.added.type] -= 1
                row.state, row.node_id, row.reason = State.RUNNING, wish.node_id, ""
                row.claim_seq += 1
                row.attempt += 1
                taken.append((job_id, row.claim_seq, row.attempt, row.refunded, row.losses))
        return taken

    def _job(self, job_id: int, row: Row) -> Job:
        plan = self.runner.run(self.store.get(job_id)).plan
        return job(row.state, id=job_id, claim_seq=row.claim_seq, attempt=row.attempt, refunded=row.refunded, plan=plan)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("examples", [15, pytest.param(500, marks=pytest.mark.long)])
@pytest.mark.parametrize("kind", BACKENDS)
def test_store_does_what_its_model_does_in_any_order(kind, examples):
    machine = type("Machine", (StoreMachine,), {"make_backend": staticmethod(BACKENDS[kind])})
    run_state_machine_as_test(machine, settings=limits(examples, stateful_step_count=25))
