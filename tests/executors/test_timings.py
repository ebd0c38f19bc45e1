"""When the parts of a request came, also of one that failed."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from queue_server.domain.outcome import NO_TIMINGS, Outcome, OutcomeKind, Timings
from queue_server.executors.contract import RunCancelled
from queue_server.executors.http import HttpExecutor
from queue_server.executors.http_client.response import Response
from tests.executors.builders import http_executor, http_job, until
from tests.executors.http_client.lab import OK, Handler, Visit, always, answering, target

PAUSE_S = 0.05
PAUSE_US = 45_000
"""A little less than the pause: loops round their timers to milliseconds."""


async def test_new_connection_takes_time_and_the_first_byte_comes_after_it() -> None:
    async with target(slowly(OK)) as place, http_executor() as made:
        timings = (await made.run(http_job(place.url))).timings
    assert timings.connect is not None
    assert timings.first_byte is not None
    assert 0 < timings.connect < timings.first_byte
    assert timings.first_byte - timings.connect >= PAUSE_US


async def test_kept_connection_took_no_time() -> None:
    async with target(always()) as place, http_executor() as made:
        first, second = [(await made.run(http_job(place.url))).timings for _ in range(2)]
        assert place.visits == 1
    assert first.connect != 0
    assert second.connect == 0
    assert second.first_byte


async def test_first_byte_is_that_of_the_final_response() -> None:
    async def interim(visit: Visit) -> None:
        await visit.request()
        await visit.answer(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        await asyncio.sleep(PAUSE_S)
        await visit.answer()

    async with target(interim) as place, http_executor() as made:
        timings = (await made.run(http_job(place.url))).timings
    assert timings.first_byte is not None
    assert timings.first_byte >= PAUSE_US


async def test_first_byte_is_not_the_last_one() -> None:
    begun = asyncio.Event()

    async def in_two(visit: Visit) -> None:
        await visit.request()
        await visit.answer(OK[:10])
        await begun.wait()
        await visit.answer(OK[10:])

    async with target(in_two) as place, http_executor() as made:
        run = asyncio.ensure_future(made.run(http_job(place.url)))
        await until(lambda: timings_so_far(made).first_byte)
        at_first = timings_so_far(made)
        begun.set()
        assert (await run).timings == at_first


def timings_so_far(made: HttpExecutor) -> Timings:
    live = made.live(7)
    return live.timings if isinstance(live, Response) else NO_TIMINGS


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"], ids=["nothing", "interim"])
async def test_failure_has_the_timings_as_far_as_it_came(head: bytes) -> None:
    async def silent(visit: Visit) -> None:
        await visit.request()
        await visit.answer(head)
        await visit.end()

    async with target(silent) as place, http_executor() as made:
        outcome = await made.run(http_job(place.url, timeout=PAUSE_S))
    assert outcome.kind is OutcomeKind.TIMED_OUT
    assert outcome.timings.connect
    assert outcome.timings.first_byte is None


async def test_response_that_breaks_off_has_both_timings() -> None:
    async with target(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nx")) as place, http_executor() as made:
        outcome = await made.run(http_job(place.url))
    assert outcome.kind is OutcomeKind.FAILED
    assert outcome.timings.connect
    assert outcome.timings.first_byte


async def test_refused_connection_has_no_timings() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        async with http_executor() as made:
            outcome = await made.run(http_job(f"http://127.0.0.1:{closed.getsockname()[1]}"))
    assert outcome.kind is OutcomeKind.FAILED
    assert outcome.timings == NO_TIMINGS


async def test_cancelled_request_has_the_timings_as_far_as_it_came() -> None:
    begun = asyncio.Event()

    async def hang(visit: Visit) -> None:
        await visit.request()
        begun.set()
        await visit.end()

    async with target(hang) as place, http_executor() as made, cancelled(made, place.url, begun) as end:
        assert end.timings.connect
        assert end.timings.first_byte is None


@asynccontextmanager
async def cancelled(made: HttpExecutor, url: str, begun: asyncio.Event) -> AsyncIterator[RunCancelled]:
    async def run() -> Outcome | RunCancelled:
        try:
            return await made.run(http_job(url))
        except RunCancelled as end:
            return end

    task = asyncio.ensure_future(run())
    await begun.wait()
    task.cancel()
    end = await task
    assert isinstance(end, RunCancelled)
    yield end


def slowly(answer: bytes) -> Handler:
    async def handler(visit: Visit) -> None:
        await visit.request()
        await asyncio.sleep(PAUSE_S)
        await visit.answer(answer)

    return handler
