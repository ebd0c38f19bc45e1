"""Adding jobs with idempotency keys, inside a transaction of the writing connection.

It is the only one that writes, so that of many who come with one key at once exactly one adds the job.
"""

from collections.abc import Sequence

from queue_server.domain.errors import InvalidJob, JobDeleted, KeyMismatch, Problem
from queue_server.domain.job import NewJob, Once
from queue_server.store.contract import Added
from queue_server.store.sqlite.session import Session


def add_once(session: Session, jobs: Sequence[NewJob]) -> Added:
    """See Store.add_once. What it raises, it raises before it has written anything."""
    known = _known(session, jobs)
    firsts: dict[tuple[str, str], int] = {}
    for place, job in enumerate(jobs):
        if job.once is not None and place not in known:
            first = firsts.setdefault((job.once.scope, job.once.key), place)
            _check_same(jobs, first, place)
    new = [place for place, job in enumerate(jobs) if place not in known and _is_first(firsts, place, job.once)]
    ids = known | dict(zip(new, session.insert([jobs[place] for place in new]), strict=True))
    session.bulk("insert_once", [_row(once, ids[place]) for place in new if (once := jobs[place].once) is not None])
    for place, job in enumerate(jobs):
        if place not in ids and job.once is not None:
            ids[place] = ids[firsts[job.once.scope, job.once.key]]
    return Added([ids[place] for place in range(len(jobs))], frozenset(range(len(jobs))) - frozenset(new))


def _known(session: Session, jobs: Sequence[NewJob]) -> dict[int, int]:
    """The ids of jobs that are there already, by place."""
    wanted = {place: job.once for place, job in enumerate(jobs) if job.once is not None}
    rows = [(place, once.scope, once.key) for place, once in wanted.items()]
    found: dict[int, int] = {}
    for place, job_id, fingerprint, is_there in sorted(session.find_in_bulk("load_once", rows)):
        once = wanted[place]
        if bytes.fromhex(fingerprint) != once.fingerprint:
            raise KeyMismatch(once.key, job_id)
        if not is_there:
            raise JobDeleted(f"job {job_id} of this idempotency key has ended and been deleted")
        found[place] = job_id
    return found


def _check_same(jobs: Sequence[NewJob], first: int, place: int) -> None:
    one, other = jobs[first].once, jobs[place].once
    if one is not None and other is not None and one.fingerprint != other.fingerprint:
        path = f"/{place}/idempotency_key"
        raise InvalidJob([Problem(path, f"was given to job {first} of this batch, which is a different one")])


def _is_first(firsts: dict[tuple[str, str], int], place: int, once: Once | None) -> bool:
    return once is None or firsts[once.scope, once.key] == place


def _row(once: Once, job_id: int) -> tuple[str, str, bytes, int, int]:
    return once.scope, once.key, once.fingerprint, job_id, once.until
