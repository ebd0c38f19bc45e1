"""Adding jobs so that no break of the connection makes two of one: each carries an idempotency key."""

import os
from collections.abc import Iterable, Iterator, Mapping
from itertools import count
from typing import Any, TypeAlias

import msgspec

from queue_server.client import calls
from queue_server.client.asking import ask
from queue_server.client.composing import encode, job_of
from queue_server.client.errors import ClientError, Mistake, Problem, Refused
from queue_server.client.exchange import Exchange
from queue_server.client.results import Job

CHUNK_JOBS, CHUNK_BYTES = 1000, 8 * 1024 * 1024
"""The server takes 10,000 jobs and 64 MiB at once; smaller ones keep others from waiting behind them."""

GivenJob: TypeAlias = Mapping[str, Any] | bytes | str
"""A job as a mapping, or as JSON that is sent as it is."""


def added(job: GivenJob | None, members: Mapping[str, Any], key: str | None, retry_for: float) -> Exchange[Job]:
    """Add the job; ValueError if it is given both as a whole and by its members."""
    if job is not None and members:
        raise ValueError(f"give the job, or its members; not both (there is {', '.join(members)})")
    body = _encoded(job_of(members) if job is None else job)
    if key is None and not _has_key(body):
        key = new_key()
    return (yield from ask(calls.add(body, key), retry_for))


def all_added(jobs: Iterable[GivenJob], key: str | None, chunk: int, retry_for: float) -> Exchange[list[int]]:
    """Add the jobs chunk after chunk; their ids, in order. An error tells those of the chunks before in `added`."""
    ids: list[int] = []
    base = key or new_key()
    for number, bodies in zip(count(1), _chunks(map(_encoded, jobs), chunk), strict=False):
        try:
            done = yield from ask(calls.add_batch(bodies, f"{base}-{number}"), retry_for)
        except ClientError as error:
            raise _with_ids(error, ids) from None
        ids += done.ids
    return ids


def new_key() -> str:
    """A key that nobody else has."""
    return os.urandom(16).hex()


def _encoded(job: GivenJob) -> bytes:
    if isinstance(job, str):
        return job.encode()
    return job if isinstance(job, bytes) else encode(job)


class _WithKey(msgspec.Struct):
    idempotency_key: str | None = None


def _has_key(body: bytes) -> bool:
    """Whether the job brings a key of its own; a header must not say another one."""
    try:
        return msgspec.json.decode(body, type=_WithKey).idempotency_key is not None
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return False  # the server will say what is wrong with it


def _chunks(bodies: Iterable[bytes], most: int) -> Iterator[list[bytes]]:
    chunk: list[bytes] = []
    size = 0
    for body in bodies:
        if chunk and (len(chunk) == most or size + len(body) > CHUNK_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(body)
        size += len(body) + 1
    if chunk:
        yield chunk


def _with_ids(error: ClientError, ids: list[int]) -> ClientError:
    """The error with the jobs added so far, and with pointers that count from the first job of all."""
    error.added = tuple(ids)
    if ids and isinstance(error, Refused) and error.problem and error.problem.errors:
        errors = tuple(Mistake(_shifted(mistake.pointer, len(ids)), mistake.detail) for mistake in error.problem.errors)
        error.problem = Problem(error.problem.title, error.problem.detail, errors)
    return error


def _shifted(pointer: str, by: int) -> str:
    """`/12/command/url` as `/1012/command/url`."""
    _, first, *rest = pointer.split("/") if pointer.startswith("/") else ("", pointer)
    return "/".join(["", str(int(first) + by), *rest]) if first.isdecimal() else pointer
