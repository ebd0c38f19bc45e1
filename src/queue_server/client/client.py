"""The client for programs that block."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self, TypeVar, Unpack

from queue_server.client import calls
from queue_server.client.adding import GivenJob, added, all_added
from queue_server.client.address import address
from queue_server.client.asking import ask
from queue_server.client.composing import JobMembers
from queue_server.client.connection import USER_AGENT, Options
from queue_server.client.exchange import Call, Exchange
from queue_server.client.filters import EventFilters, JobFilters, ManyFilters, query_of
from queue_server.client.following import downloaded, followed
from queue_server.client.many import change
from queue_server.client.paging import listed
from queue_server.client.results import (
    Act,
    Attempt,
    Event,
    Explanation,
    Heartbeat,
    Job,
    KeptSecret,
    Matched,
    NewSecret,
    Operation,
    Rekeyed,
    Stats,
)
from queue_server.client.sync_connection import SyncConnection
from queue_server.client.sync_steps import items_of, result_of
from queue_server.client.waiting import ended
from queue_server.client.watching import watched

T = TypeVar("T")


class Client:
    """Talks to one server; threads may share it. Use it in a `with`, or `close` it.

    `url` and `token` are by default those of QUEUE_SERVER_URL (http://127.0.0.1:1337) and QUEUE_SERVER_TOKEN. An answer
    that sends no byte for `timeout` seconds is given up. What does the same when it is asked twice, `add` included, is
    asked again for up to `retry_for` seconds when the server is busy or the connection broke.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        token: str | None = None,
        timeout: float = 60.0,
        retry_for: float = 10.0,
        user_agent: str = USER_AGENT,
    ) -> None:
        self._connection = SyncConnection(Options(address=address(url, token), timeout=timeout, user_agent=user_agent))
        self._retry_for = retry_for

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._connection.close()

    def add(
        self, job: GivenJob | None = None, *, idempotency_key: str | None = None, **members: Unpack[JobMembers]
    ) -> Job:
        """Add a job: given whole, as a mapping or as JSON, or by its members: `add(url="https://…", delay=60)`.

        With the key of an earlier job it is that job again. Without one it gets its own, so that a connection that
        breaks never makes two jobs.
        """
        return self._finish(added(job, members, idempotency_key, self._retry_for))

    def add_many(self, jobs: Iterable[GivenJob], *, idempotency_key: str | None = None, chunk: int = 1000) -> list[int]:
        """Add the jobs, `chunk` (up to 10,000) in one transaction at a time; their ids, in order.

        An error ends it; its `added` are the jobs of the chunks before. Those of its own chunk have not been added, or
        nobody knows if it is Unreachable: with an `idempotency_key` of yours it is safe to call this again.
        """
        return self._finish(all_added(jobs, idempotency_key, chunk, self._retry_for))

    def get(self, job_id: int) -> Job:
        """The job as it is now."""
        return self._ask(calls.job(job_id))

    def wait(self, job_id: int, timeout: float | None = None) -> Job:
        """The job when it has ended; StillGoingOn if it has not within `timeout` seconds."""
        return self._finish(ended(lambda wait: calls.job(job_id, wait), timeout, self._retry_for))

    def jobs(
        self, *, sort: str | None = None, limit: int | None = None, **filters: Unpack[JobFilters]
    ) -> Iterator[Job]:
        """The jobs that match, the newest first; further pages are asked for as they are needed."""
        return self._iterate(listed(calls.jobs, {**query_of(filters), "sort": sort}, limit, self._retry_for))

    def update(self, job_id: int, changes: Mapping[str, Any]) -> Job:
        """Change a waiting job by a JSON merge patch (RFC 7396); Conflict once it has started."""
        return self._ask(calls.update(job_id, changes))

    def delete(self, job_id: int) -> None:
        """Delete a job that has ended; Conflict while it has not."""
        self._ask(calls.delete(job_id))

    def cancel(self, job_id: int, *, reason: str | None = None, wait: float | None = None) -> Job:
        """Cancel a job. One that runs is interrupted: `wait` so many seconds for its end."""
        return self._ask(calls.cancel(job_id, reason, wait))

    def retry(self, job_id: int, changes: Mapping[str, Any] | None = None) -> Job:
        """Let a job that has ended run again, changed by a JSON merge patch."""
        return self._ask(calls.retry(job_id, changes))

    def run(self, job_id: int) -> Job:
        """Make a scheduled job due now."""
        return self._ask(calls.run(job_id))

    def attempts(self, job_id: int) -> list[Attempt]:
        """The ended attempts of a job, oldest first."""
        return list(self._ask(calls.attempts(job_id)).items)

    def output(
        self,
        job_id: int,
        *,
        stream: str = "output",
        attempt: int | None = None,
        start: int | None = None,
        end: int | None = None,
    ) -> bytes:
        """What the last attempt (or this one) printed or was answered, so far: `output`, `stderr` or `head`.

        `start` and `end` take a part of it, as in a slice; a negative `start` alone is the last so many bytes.
        """
        return self._finish(downloaded(job_id, stream, attempt, (start, end), self._retry_for))

    def follow_output(self, job_id: int, *, stream: str = "output", attempt: int | None = None) -> Iterator[bytes]:
        """The output while it is written: of this attempt, or of the latest and all after it until the job ends."""
        return self._iterate(followed(job_id, stream, attempt, self._retry_for))

    def explain(self, job_id: int) -> Explanation:
        """Why a job is where it is."""
        return self._ask(calls.explain(job_id))

    def events(
        self, job_id: int | None = None, *, last_event_id: str = "", **filters: Unpack[EventFilters]
    ) -> Iterator[Event]:
        """The events of one job until it has ended, or of all that match, for ever; broken connections are mended.

        An event of type `reset` says that some were missed: read anew what was built from them.
        """
        return self._iterate(watched(job_id, query_of(filters), last_event_id))

    def heartbeat(
        self, job_id: int, claim: int, *, timeout: float | None = None, message: str | None = None
    ) -> Heartbeat:
        """Say that work which goes on past its request is alive; for `timeout` seconds more if that is given."""
        return self._ask(calls.heartbeat(job_id, claim, timeout, message))

    def complete(self, job_id: int, claim: int, *, output: str | None = None, exit_code: int | None = None) -> Job:
        """Report the success of work that went on past its request."""
        return self._ask(calls.complete(job_id, claim, {"output": output, "exit_code": exit_code}))

    def fail(
        self,
        job_id: int,
        claim: int,
        *,
        error: str | None = None,
        output: str | None = None,
        exit_code: int | None = None,
        retry_after: float | None = None,
    ) -> Job:
        """Report the failure of work that went on past its request."""
        result = {"error": error, "output": output, "exit_code": exit_code, "retry_after": retry_after}
        return self._ask(calls.fail(job_id, claim, result))

    def cancel_jobs(
        self,
        *,
        reason: str | None = None,
        dry_run: bool = False,
        all_jobs: bool = False,
        **filters: Unpack[ManyFilters],
    ) -> Matched:
        """Cancel all jobs that match; the operation goes on at the server. `dry_run` only counts them."""
        return self._ask(change("cancel", filters, all_jobs=all_jobs, dry_run=dry_run, reason=reason))

    def retry_jobs(
        self,
        *,
        changes: Mapping[str, Any] | None = None,
        dry_run: bool = False,
        all_jobs: bool = False,
        **filters: Unpack[ManyFilters],
    ) -> Matched:
        """Let all jobs that match and have ended run again, as `cancel_jobs`."""
        return self._ask(change("retry", filters, all_jobs=all_jobs, dry_run=dry_run, changes=changes))

    def delete_jobs(self, *, dry_run: bool = False, all_jobs: bool = False, **filters: Unpack[ManyFilters]) -> Matched:
        """Delete all jobs that match and have ended, as `cancel_jobs`."""
        return self._ask(change("delete", filters, all_jobs=all_jobs, dry_run=dry_run))

    def operation(self, operation_id: int) -> Operation:
        """How far an operation is."""
        return self._ask(calls.operation(operation_id))

    def wait_operation(self, operation_id: int, timeout: float | None = None) -> Operation:
        """The operation when it has ended; StillGoingOn if it has not within `timeout` seconds."""
        return self._finish(ended(lambda wait: calls.operation(operation_id, wait), timeout, self._retry_for))

    def operations(self, *, limit: int | None = None) -> Iterator[Operation]:
        """The operations, the newest first."""
        return self._iterate(listed(calls.operations, {}, limit, self._retry_for))

    def audit(self, *, limit: int | None = None) -> Iterator[Act]:
        """Who has managed what, the newest first."""
        return self._iterate(listed(calls.audit, {}, limit, self._retry_for))

    def cancel_operation(self, operation_id: int) -> Operation:
        """Stop an operation; what it has done stays done."""
        return self._ask(calls.cancel_operation(operation_id))

    def secrets(self) -> list[KeptSecret]:
        """The secrets that the server keeps, without their texts."""
        return list(self._ask(calls.secrets()).items)

    def put_secret(self, name: str, value: str, *, kind: str = "value") -> KeptSecret:
        """Keep a text for jobs, which have it by its name: `{"secret_ref": name}`. It replaces what was there."""
        return self._ask(calls.put_secret(name, value, kind))

    def delete_secret(self, name: str) -> None:
        """Forget a secret. Jobs that have it by its name fail from then on."""
        self._ask(calls.delete_secret(name))

    def create_signing_secret(self, name: str = "default") -> NewSecret:
        """Make a secret and sign all requests with it from now on; `verify` checks them. It is told this once."""
        return self._ask(calls.create_signing_secret(name))

    def rotate_signing_secret(self, name: str = "default", *, overlap: float | None = None) -> NewSecret:
        """Replace a signing secret. The one before signs as well for `overlap` seconds more, by default a day."""
        return self._ask(calls.rotate_signing_secret(name, overlap))

    def rekey_secrets(self) -> Rekeyed:
        """Seal all kept secrets with the server's newest key."""
        return self._ask(calls.rekey_secrets())

    def stats(self) -> Stats:
        """Jobs by state, and the slots."""
        return self._ask(calls.stats())

    def openapi(self) -> bytes:
        """The description of the API (OpenAPI 3.1, JSON)."""
        return self._ask(calls.openapi())

    def _ask(self, call: Call[T]) -> T:
        return self._finish(ask(call, self._retry_for))

    def _finish(self, exchange: Exchange[T]) -> T:
        return result_of(self._connection, exchange)

    def _iterate(self, exchange: Exchange[None]) -> Iterator[Any]:
        return items_of(self._connection, exchange)
