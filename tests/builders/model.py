"""What a store should know, kept in dictionaries: each method does to the model what the store's does to its rows."""

from collections.abc import Mapping, Sequence

import msgspec

from queue_server.domain.errors import QueueServerError
from queue_server.domain.job import PRIORITY_MAX, Job, JobRecord, NewJob, Once, decode_plan
from queue_server.domain.lifecycle import Transition
from queue_server.domain.state import State
from queue_server.domain.wishes import Answer, CancelWish, Extension, Refusal, Removal, Revision
from queue_server.store.contract import Claim, Rule

Answers = Sequence[Answer | QueueServerError]


class Model:
    """The jobs and idempotency keys of a store."""

    def __init__(self) -> None:
        self.rows: dict[int, JobRecord] = {}
        self.keys: dict[str, tuple[Once, int]] = {}
        self.highest = 0

    def counts(self) -> Mapping[State, int]:
        """See Store.counts."""
        counts = dict.fromkeys(State, 0)
        for record in self.rows.values():
            counts[record.state] += 1
        return counts

    def next_due(self) -> int | None:
        """When the earliest scheduled job becomes due."""
        due = [record.run_at for record in self.rows.values() if record.state is State.SCHEDULED]
        return min(due, default=None)

    def add(self, rows: Sequence[NewJob]) -> list[int]:
        """See Store.add."""
        first = self.highest + 1
        for row in rows:
            self.highest += 1
            self.rows[self.highest] = _record(self.highest, row)
        return list(range(first, self.highest + 1))

    def add_once(self, rows: Sequence[NewJob]) -> list[int] | None:
        """See Store.add_once; None where it is refused."""
        asked: dict[str, Once] = {}
        for once in (row.once for row in rows if row.once is not None):
            known, job_id = self.keys.get(once.key, (asked.setdefault(once.key, once), None))
            if known.fingerprint != once.fingerprint or (job_id is not None and job_id not in self.rows):
                return None
        ids: list[int] = []
        for row in rows:
            if row.once is None:
                ids += self.add([row])
            elif row.once.key not in self.keys:
                ids += self.add([row])
                self.keys[row.once.key] = (row.once, ids[-1])
            else:
                ids.append(self.keys[row.once.key][1])
        return ids

    def apply(self, change: Transition) -> bool:
        """One transition of Store.turn; whether it applies."""
        record = self.rows.get(change.job_id)
        if record is None or change.changes_nothing:
            return False
        if (record.state, record.claim_seq) != (change.from_state, change.claim_seq):
            return False
        is_wished = change.ended_at is None and record.cancel_wished_at is not None
        after = {
            "state": change.state,
            "run_at": record.run_at if change.run_at is None else change.run_at,
            "ended_at": change.ended_at,
            "refunded": change.refunded,
            "losses": change.losses,
            "reason": record.reason if is_wished else change.reason,
            "overdue_at": record.cancel_wished_at if is_wished else change.overdue_at,
            "keep_until": change.keep_until,
            "node_id": record.node_id if change.continues else None,
        }
        if change.attempt is not None:
            after |= {name: getattr(change.attempt, name) for name in ("outcome", "exit_code", "error")}
        self.rows[change.job_id] = msgspec.structs.replace(record, **after)
        return True

    def apply_all(self, changes: Sequence[Transition]) -> list[bool]:
        """The transitions of Store.turn with their callbacks; which of them apply."""
        flags = [self.apply(change) for change in changes]
        self.add([row for change, applied in zip(changes, flags, strict=True) if applied for row in change.callbacks])
        return flags

    def claim(self, wish: Claim) -> tuple[list[Job], list[Job]]:
        """The claim of Store.turn: the jobs that are taken, and those that are overdue."""
        for job_id, record in self.rows.items():
            if record.state is State.SCHEDULED and record.run_at <= wish.now:
                self.rows[job_id] = msgspec.structs.replace(record, state=State.AVAILABLE)
        free = {"http": wish.slots.http, "exec": wish.slots.exec}
        taken: list[Job] = []
        overdue: list[Job] = []
        for record in sorted(self.rows.values(), key=lambda one: (PRIORITY_MAX - one.priority, one.run_at, one.id)):
            type_ = type_of(record)
            if record.state is not State.AVAILABLE or free[type_] <= 0 or len(taken) + len(overdue) >= wish.slots.total:
                continue
            free[type_] -= 1
            if record.cancel_wished_at is not None or _is_overdue(record, wish.now):
                overdue.append(record.as_job())
            else:
                self.rows[record.id] = _claimed(record, wish)
                taken.append(self.rows[record.id].as_job())
        return taken, overdue

    def overdue(self, now: int) -> list[Job]:
        """See Store.overdue."""
        late = [record for record in self.rows.values() if _is_overdue(record, now)]
        return [record.as_job() for record in sorted(late, key=lambda one: (one.overdue_at or 0, one.id))]

    def lost(self) -> list[Job]:
        """See Store.expired, where all nodes are gone."""
        running = [record for record in self.rows.values() if record.state is State.RUNNING]
        return [record.as_job() for record in running if not record.is_continued]

    def amend(self, job_ids: Sequence[int], rule: Rule) -> Answers:
        """See Store.amend; the answers."""
        answers: list[Answer | QueueServerError] = []
        for record in [self.rows[job_id] for job_id in job_ids if job_id in self.rows]:
            try:
                answers.append(rule(record))
            except QueueServerError as error:
                answers.append(error)
        self.apply_all([answer for answer in answers if isinstance(answer, Transition)])
        for answer in answers:
            self._change(answer)
        return answers

    def purgeable(self, before: int, now: int) -> list[int]:
        """The jobs that Store.purge may delete."""
        return [
            record.id
            for record in self.rows.values()
            if (record.keep_until is not None and record.keep_until < now)
            or (record.keep_until is None and record.ended_at is not None and record.ended_at < before)
        ]

    def forgettable(self, now: int) -> list[str]:
        """The idempotency keys that Store.purge may delete, in its order."""
        old = [(once.until, key) for key, (once, _) in self.keys.items() if once.until < now]
        return [key for _, key in sorted(old)]

    def _change(self, answer: Answer | QueueServerError) -> None:
        match answer:
            case Revision():
                after = {name: getattr(answer, name) for name in _REVISED} | dict.fromkeys(_CLEARED)
            case Extension():
                after = {"overdue_at": answer.overdue_at, "reason": answer.reason}
            case CancelWish():
                after = {"cancel_wished_at": answer.wished_at, "reason": answer.reason}
            case Removal():
                del self.rows[answer.job_id]
                return
            case _:
                return
        self.rows[answer.job_id] = msgspec.structs.replace(self.rows[answer.job_id], **after)


_REVISED = set(Revision.__struct_fields__) & set(JobRecord.__struct_fields__) - {"claim_seq"}
_CLEARED = ("ended_at", "keep_until", "cancel_wished_at")


def type_of(record: JobRecord) -> str:
    """The kind of slot that a job takes."""
    return "http" if type(record.plan.command).__name__ == "HttpCommand" else "exec"


def is_change(answer: Answer | QueueServerError) -> bool:
    """Whether an operation counts the job as done."""
    return not isinstance(answer, Refusal | QueueServerError | None)


def _record(job_id: int, row: NewJob) -> JobRecord:
    given = set(row.__struct_fields__) & set(JobRecord.__struct_fields__)
    nothing = dict.fromkeys(("node_id", "claimed_at", "ended_at"))
    members = {name: getattr(row, name) for name in given}
    return JobRecord(id=job_id, attempt=0, claim_seq=0, reason="", plan=decode_plan(row.payload), **(nothing | members))


def _claimed(record: JobRecord, wish: Claim) -> JobRecord:
    return msgspec.structs.replace(
        record,
        state=State.RUNNING,
        node_id=wish.node_id,
        claimed_at=wish.now,
        claim_seq=record.claim_seq + 1,
        attempt=record.attempt + 1,
        reason="",
        overdue_at=None,
        first_started_at=wish.now if record.first_started_at is None else record.first_started_at,
    )


def _is_overdue(record: JobRecord, now: int) -> bool:
    return record.overdue_at is not None and record.overdue_at <= now
