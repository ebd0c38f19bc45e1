"""`POST /v1/jobs/batch`: many jobs at once, all or nothing.

The jobs are checked and made into rows while the body arrives; nothing is stored before its last byte was good. The
event loop is never held for long: the others have their turn between any two parts of a batch, and batches that arrive
together share that time (docs/decisions/0026).
"""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from queue_server.clock import Clock
from queue_server.domain.access import Access, Right
from queue_server.domain.batch import JOBS_LIMIT, BatchReader, BatchTooLarge
from queue_server.domain.errors import InvalidJob, NotAllowed, Problem, QueueServerError
from queue_server.domain.job import JobRequest
from queue_server.operations.add import AcceptedBatch, AddJob, Draft
from queue_server.web.access.caller import access_of
from queue_server.web.answers import encode, send_json
from queue_server.web.endpoint import Answer, Content, Endpoint
from queue_server.web.idempotency import REPLAYED, key_of
from queue_server.web.pieces import Pieces

HOLD_S = 0.002
"""How long batches may hold the event loop before others have their turn."""

STEP_JOBS = 64
"""Jobs that are made into rows between two looks at the time: half a millisecond's work."""

NDJSON = "application/x-ndjson"
DESCRIPTION = f"""\
The body is a JSON array of jobs, or one job a line (NDJSON); which of them is told by its first character, whatever the
Content-Type says. It has 1 to {JOBS_LIMIT} jobs and up to the setting `max_batch` bytes, each job up to `max_body`.

All jobs are stored, in one transaction, or none is. Errors point at the job by its place, from 0: `/12/command/url`;
100 of them are listed at most.
"""


JobList = Annotated[list[JobRequest], Meta(min_length=1, max_length=JOBS_LIMIT)]


class BatchView(msgspec.Struct, frozen=True):
    """What is answered: the ids in the order of the jobs, and how many of these had been there before."""

    ids: Sequence[int]
    count: int
    replayed: int


class Batches:
    """Adding jobs in batches. `max_batch` and `max_body` are the bytes that a batch, and a job of it, may have."""

    def __init__(self, add: AddJob, clock: Clock, max_batch: int, max_body: int) -> None:
        self._add = add
        self._clock = clock
        self._max_batch = max_batch
        self._max_body = max_body
        self._turn = asyncio.Lock()

    @property
    def endpoints(self) -> Sequence[Endpoint]:
        """What can be asked here."""
        return (
            Endpoint(
                method="POST",
                path="/v1/jobs/batch",
                scope=Right.ADD,
                handler=self.post,
                is_raw=True,
                summary="Add many jobs",
                description=DESCRIPTION,
                tag="jobs",
                headers={"Idempotency-Key": "Stands for the whole batch: sent again, it adds nothing."},
                body=(
                    Content(JobList, description="The jobs as an array."),
                    Content(JobRequest, NDJSON, "One job a line."),
                ),
                answers={
                    201: Answer("The jobs are durable.", Content(BatchView)),
                    200: Answer(
                        "All of them had been added before.",
                        Content(BatchView),
                        {"Idempotent-Replayed": "`true`."},
                    ),
                },
                errors=(400, 403, 408, 410, 413, 422, 503),
            ),
        )

    async def post(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer once all jobs are durable."""
        access = access_of(scope)
        pieces = Pieces(scope, receive, self._max_batch, "max_batch")
        try:
            key = key_of(scope)
            await self._add.check_room(access)
            intake = _Intake(self._add, access, self._max_body, is_keyed=key is not None)
            accepted = await self._take(pieces, intake, access, key)
        except (HTTPException, QueueServerError):
            await pieces.drain()
            raise
        await _answer(scope, send, accepted)
        await asyncio.sleep(0)  # forgetting so many jobs takes milliseconds too

    async def _take(self, pieces: Pieces, intake: "_Intake", access: Access, key: str | None) -> AcceptedBatch:
        try:
            while not pieces.is_complete:
                await self._read(await pieces.next(), intake, is_last=pieces.is_complete)
            return await self._add.add_batch(intake.drafts(), access, key)
        except BaseException:
            intake.forget()
            raise

    async def _read(self, piece: bytes, intake: "_Intake", *, is_last: bool) -> None:
        steps = intake.take(piece, is_last=is_last)
        is_more = True
        while is_more:
            async with self._turn:
                is_more = self._go_on(steps)
                if is_more:
                    await asyncio.sleep(0)

    def _go_on(self, steps: Iterator[None]) -> bool:
        """Take steps for HOLD_S; whether there may be more."""
        end_s = self._clock.monotonic() + HOLD_S
        return any(self._clock.monotonic() > end_s for _ in steps)


class _Intake:
    """The drafts of one batch while it arrives. They are forgotten as soon as something is wrong with a job."""

    def __init__(self, add: AddJob, access: Access, job_limit: int, *, is_keyed: bool) -> None:
        self._add = add
        self._access = access
        self._job_limit = job_limit
        self._is_keyed = is_keyed
        self._reader = BatchReader(job_limit)
        self._drafts: list[Draft] = []
        self._refusal: NotAllowed | InvalidJob | None = None

    def take(self, piece: bytes, *, is_last: bool) -> Iterator[None]:
        """Read a piece, step by step; HTTPException 413 where the batch has too many jobs or too large a one."""
        self._reader.feed(piece)
        if is_last:
            self._reader.finish()
        try:
            for jobs in self._reader.read():
                for start in range(0, max(1, len(jobs)), STEP_JOBS):
                    self._draft(jobs[start : start + STEP_JOBS])
                    yield
        except BatchTooLarge as error:
            raise HTTPException(413, str(error)) from None

    def drafts(self) -> Sequence[Draft]:
        """The jobs, all of them good; InvalidJob or NotAllowed if they are not."""
        self._reader.check()
        if self._refusal is not None:
            raise self._refusal
        return self._drafts

    def forget(self) -> None:
        """Let go of everything: after a refusal the rest of the body may take its time."""
        self._reader = BatchReader(self._job_limit)
        self._drafts = []

    def _draft(self, jobs: Sequence[JobRequest]) -> None:
        if self._reader.is_bad or self._refusal is not None:
            self._drafts.clear()
            return
        try:
            for job in jobs:
                self._drafts.append(self._add.draft(job, self._access, is_keyed=self._is_keyed))
        except NotAllowed as error:
            self._refusal = NotAllowed(f"/{len(self._drafts)}{error.path}", str(error))
        except InvalidJob as error:
            place = len(self._drafts)
            self._refusal = InvalidJob([Problem(f"/{place}{wrong.path}", wrong.message) for wrong in error.problems])


async def _answer(scope: Scope, send: Send, accepted: AcceptedBatch) -> None:
    count = len(accepted.ids)
    body = encode(BatchView(accepted.ids, count, accepted.replayed))
    if accepted.replayed == count:
        await send_json(scope, send, 200, body, REPLAYED)
    else:
        await send_json(scope, send, 201, body)
