"""The client for asyncio. Its methods are those of `Client`, awaited; what they promise is written there."""

from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, Self, TypeVar, Unpack

from queue_server.client import calls
from queue_server.client.adding import GivenJob, added, all_added
from queue_server.client.address import address
from queue_server.client.asking import ask
from queue_server.client.async_connection import AsyncConnection
from queue_server.client.async_steps import items_of, result_of
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
from queue_server.client.waiting import ended
from queue_server.client.watching import watched

T = TypeVar("T")


class AsyncClient:
    """Talks to one server, with up to `max_connections` requests at once. Use it in an `async with`, or `close` it.

    The arguments are those of `Client`.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        token: str | None = None,
        timeout: float = 60.0,
        retry_for: float = 10.0,
        user_agent: str = USER_AGENT,
        max_connections: int | None = 100,
    ) -> None:
        where = address(url, token)
        options = Options(address=where, timeout=timeout, user_agent=user_agent, most_connections=max_connections)
        self._connection = AsyncConnection(options)
        self._retry_for = retry_for

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Give the connections back."""
        await self._connection.close()

    async def add(
        self, job: GivenJob | None = None, *, idempotency_key: str | None = None, **members: Unpack[JobMembers]
    ) -> Job:
        """As `Client.add`."""
        return await self._finish(added(job, members, idempotency_key, self._retry_for))

    async def add_many(
        self, jobs: Iterable[GivenJob], *, idempotency_key: str | None = None, chunk: int = 1000
    ) -> list[int]:
        """As `Client.add_many`."""
        return await self._finish(all_added(jobs, idempotency_key, chunk, self._retry_for))

    async def get(self, job_id: int) -> Job:
        """As `Client.get`."""
        return await self._ask(calls.job(job_id))

    async def wait(self, job_id: int, timeout: float | None = None) -> Job:  # noqa: ASYNC109 (as Client)
        """As `Client.wait`."""
        return await self._finish(ended(lambda wait: calls.job(job_id, wait), timeout, self._retry_for))

    def jobs(
        self, *, sort: str | None = None, limit: int | None = None, **filters: Unpack[JobFilters]
    ) -> AsyncIterator[Job]:
        """As `Client.jobs`."""
        return self._iterate(listed(calls.jobs, {**query_of(filters), "sort": sort}, limit, self._retry_for))

    async def update(self, job_id: int, changes: Mapping[str, Any]) -> Job:
        """As `Client.update`."""
        return await self._ask(calls.update(job_id, changes))

    async def delete(self, job_id: int) -> None:
        """As `Client.delete`."""
        await self._ask(calls.delete(job_id))

    async def cancel(self, job_id: int, *, reason: str | None = None, wait: float | None = None) -> Job:
        """As `Client.cancel`."""
        return await self._ask(calls.cancel(job_id, reason, wait))

    async def retry(self, job_id: int, changes: Mapping[str, Any] | None = None) -> Job:
        """As `Client.retry`."""
        return await self._ask(calls.retry(job_id, changes))

    async def run(self, job_id: int) -> Job:
        """As `Client.run`."""
        return await self._ask(calls.run(job_id))

    async def attempts(self, job_id: int) -> list[Attempt]:
        """As `Client.attempts`."""
        return list((await self._ask(calls.attempts(job_id))).items)

    async def output(
        self,
        job_id: int,
        *,
        stream: str = "output",
        attempt: int | None = None,
        start: int | None = None,
        end: int | None = None,
    ) -> bytes:
        """As `Client.output`."""
        return await self._finish(downloaded(job_id, stream, attempt, (start, end), self._retry_for))

    def follow_output(self, job_id: int, *, stream: str = "output", attempt: int | None = None) -> AsyncIterator[bytes]:
        """As `Client.follow_output`."""
        return self._iterate(followed(job_id, stream, attempt, self._retry_for))

    async def explain(self, job_id: int) -> Explanation:
        """As `Client.explain`."""
        return await self._ask(calls.explain(job_id))

    def events(
        self, job_id: int | None = None, *, last_event_id: str = "", **filters: Unpack[EventFilters]
    ) -> AsyncIterator[Event]:
        """As `Client.events`."""
        return self._iterate(watched(job_id, query_of(filters), last_event_id))

    async def heartbeat(
        self,
        job_id: int,
        claim: int,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 (it is told to the server)
        message: str | None = None,
    ) -> Heartbeat:
        """As `Client.heartbeat`."""
        return await self._ask(calls.heartbeat(job_id, claim, timeout, message))

    async def complete(
        self, job_id: int, claim: int, *, output: str | None = None, exit_code: int | None = None
    ) -> Job:
        """As `Client.complete`."""
        return await self._ask(calls.complete(job_id, claim, {"output": output, "exit_code": exit_code}))

    async def fail(
        self,
        job_id: int,
        claim: int,
        *,
        error: str | None = None,
        output: str | None = None,
        exit_code: int | None = None,
        retry_after: float | None = None,
    ) -> Job:
        """As `Client.fail`."""
        result = {"error": error, "output": output, "exit_code": exit_code, "retry_after": retry_after}
        return await self._ask(calls.fail(job_id, claim, result))

    async def cancel_jobs(
        self,
        *,
        reason: str | None = None,
        dry_run: bool = False,
        all_jobs: bool = False,
        **filters: Unpack[ManyFilters],
    ) -> Matched:
        """As `Client.cancel_jobs`."""
        return await self._ask(change("cancel", filters, all_jobs=all_jobs, dry_run=dry_run, reason=reason))

    async def retry_jobs(
        self,
        *,
        changes: Mapping[str, Any] | None = None,
        dry_run: bool = False,
        all_jobs: bool = False,
        **filters: Unpack[ManyFilters],
    ) -> Matched:
        """As `Client.retry_jobs`."""
        return await self._ask(change("retry", filters, all_jobs=all_jobs, dry_run=dry_run, changes=changes))

    async def delete_jobs(
        self, *, dry_run: bool = False, all_jobs: bool = False, **filters: Unpack[ManyFilters]
    ) -> Matched:
        """As `Client.delete_jobs`."""
        return await self._ask(change("delete", filters, all_jobs=all_jobs, dry_run=dry_run))

    async def operation(self, operation_id: int) -> Operation:
        """As `Client.operation`."""
        return await self._ask(calls.operation(operation_id))

    async def wait_operation(
        self,
        operation_id: int,
        timeout: float | None = None,  # noqa: ASYNC109 (as Client)
    ) -> Operation:
        """As `Client.wait_operation`."""
        return await self._finish(ended(lambda wait: calls.operation(operation_id, wait), timeout, self._retry_for))

    def operations(self, *, limit: int | None = None) -> AsyncIterator[Operation]:
        """As `Client.operations`."""
        return self._iterate(listed(calls.operations, {}, limit, self._retry_for))

    def audit(self, *, limit: int | None = None) -> AsyncIterator[Act]:
        """As `Client.audit`."""
        return self._iterate(listed(calls.audit, {}, limit, self._retry_for))

    async def cancel_operation(self, operation_id: int) -> Operation:
        """As `Client.cancel_operation`."""
        return await self._ask(calls.cancel_operation(operation_id))

    async def secrets(self) -> list[KeptSecret]:
        """As `Client.secrets`."""
        return list((await self._ask(calls.secrets())).items)

    async def put_secret(self, name: str, value: str, *, kind: str = "value") -> KeptSecret:
        """As `Client.put_secret`."""
        return await self._ask(calls.put_secret(name, value, kind))

    async def delete_secret(self, name: str) -> None:
        """As `Client.delete_secret`."""
        await self._ask(calls.delete_secret(name))

    async def create_signing_secret(self, name: str = "default") -> NewSecret:
        """As `Client.create_signing_secret`."""
        return await self._ask(calls.create_signing_secret(name))

    async def rotate_signing_secret(self, name: str = "default", *, overlap: float | None = None) -> NewSecret:
        """As `Client.rotate_signing_secret`."""
        return await self._ask(calls.rotate_signing_secret(name, overlap))

    async def rekey_secrets(self) -> Rekeyed:
        """As `Client.rekey_secrets`."""
        return await self._ask(calls.rekey_secrets())

    async def stats(self) -> Stats:
        """As `Client.stats`."""
        return await self._ask(calls.stats())

    async def openapi(self) -> bytes:
        """As `Client.openapi`."""
        return await self._ask(calls.openapi())

    async def _ask(self, call: Call[T]) -> T:
        return await self._finish(ask(call, self._retry_for))

    async def _finish(self, exchange: Exchange[T]) -> T:
        return await result_of(self._connection, exchange)

    def _iterate(self, exchange: Exchange[None]) -> AsyncIterator[Any]:
        return items_of(self._connection, exchange)
