"""What idempotency keys make of jobs that are to be added: which are new, and which stand for a job that is there."""

from collections.abc import Mapping, Sequence
from hashlib import sha256

import msgspec

from queue_server.domain.errors import InvalidJob, JobDeleted, KeyMismatch, Problem
from queue_server.domain.job import NewJob, Once
from queue_server.store.contract import Added

Key = tuple[str, str]
"""The scope and the key."""


class KnownKey(msgspec.Struct, frozen=True):
    """A key that is kept: the job it stands for, how that was asked for, and whether it is still there."""

    job_id: int
    fingerprint: bytes
    is_there: bool


class Settled(msgspec.Struct, frozen=True):
    """Of a batch, by places: `new` jobs are to be added, `known` are there already, `repeats` repeat a new one."""

    new: Sequence[int]
    known: Mapping[int, int]
    repeats: Mapping[int, int]

    def added(self, ids: Sequence[int]) -> Added:
        """What came of it once the new jobs have their ids."""
        of_place = dict(self.known) | dict(zip(self.new, ids, strict=True))
        of_place |= {place: of_place[first] for place, first in self.repeats.items()}
        return Added([of_place[place] for place in sorted(of_place)], frozenset(of_place) - frozenset(self.new))


def key_of(once: Once) -> Key:
    """The key, as it is looked up."""
    return once.scope, once.key


def digest_of(key: Key) -> bytes:
    """What stands for a key where it may be longer than an index takes. No two keys are one text."""
    scope, text = key
    return sha256(f"{len(scope)} {scope} {text}".encode()).digest()


def keys_of(jobs: Sequence[NewJob]) -> set[Key]:
    """The keys of a batch."""
    return {key_of(job.once) for job in jobs if job.once is not None}


def settle_once(jobs: Sequence[NewJob], kept: Mapping[Key, KnownKey]) -> Settled:
    """What becomes of a batch. KeyMismatch, JobDeleted or InvalidJob if nothing of it may be added."""
    known = {
        place: _check_known(job.once, kept[key_of(job.once)])
        for place, job in enumerate(jobs)
        if job.once is not None and key_of(job.once) in kept
    }
    firsts: dict[Key, int] = {}
    new, repeats = list[int](), dict[int, int]()
    for place, job in enumerate(jobs):
        if place in known:
            continue
        first = place if job.once is None else firsts.setdefault(key_of(job.once), place)
        if first == place:
            new.append(place)
        else:
            _check_same(jobs, first, place)
            repeats[place] = first
    return Settled(new, known, repeats)


def _check_known(once: Once, known: KnownKey) -> int:
    if known.fingerprint != once.fingerprint:
        raise KeyMismatch(once.key, known.job_id)
    if not known.is_there:
        raise JobDeleted(f"job {known.job_id} of this idempotency key has ended and been deleted")
    return known.job_id


def _check_same(jobs: Sequence[NewJob], first: int, place: int) -> None:
    one, other = jobs[first].once, jobs[place].once
    if one is not None and other is not None and one.fingerprint != other.fingerprint:
        path = f"/{place}/idempotency_key"
        raise InvalidJob([Problem(path, f"was given to job {first} of this batch, which is a different one")])
