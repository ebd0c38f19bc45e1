"""Following a run while it goes on: every byte once for who keeps up, a mark for who does not, and little memory."""

import asyncio
import gc
import tracemalloc
import weakref
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
import uvloop

from queue_server.executors.contract import Executor
from queue_server.executors.http_client.response import Response
from queue_server.executors.live import FOLLOWED_BYTES, PIECE_BYTES, LiveOutput, LiveOutputs, Stream
from tests.executors.builders import exec_job, executor, http_executor, http_job, until
from tests.executors.http_client.lab import Visit, target

LOOPS = pytest.mark.parametrize("run_loop", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
RunLoop = Callable[[Coroutine[Any, Any, None]], None]
MIB = 1024 * 1024
WAIT = "until [ -e go ]; do sleep 0.01; done"
COUNT = "i=0; while [ $i -lt {0} ]; do echo line $i; i=$((i+1)); done"


async def live_of(made: Executor, job_id: int = 7) -> LiveOutput:
    """The output of a run that is just about to begin."""
    while not made.live(job_id):
        await asyncio.sleep(0)
    found = made.live(job_id)
    assert found
    return found


async def all_of(live: LiveOutput, stream: Stream = Stream.OUTPUT, offset: int = 0) -> bytes:
    async with aclosing(live.follow(stream, offset)) as pieces:
        return b"".join([piece async for piece in pieces])


async def followed_from_start(live: LiveOutput, go: Callable[[], None]) -> bytes:
    """All that the run tells after `go`, which lets it begin."""
    following = asyncio.ensure_future(all_of(live))
    await asyncio.sleep(0)
    go()
    return await following


def numbered(lines: int, start: int = 0) -> bytes:
    return b"".join(b"line %d\n" % n for n in range(start, lines))


@LOOPS
def test_follower_of_a_command_sees_every_byte_once_beyond_the_output_limit(run_loop: RunLoop, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with executor(output_limit=100) as made:
            job = exec_job(f"{WAIT}; cat; echo end", stdin=numbered(200_000).decode(), cwd=str(tmp_path))
            run = asyncio.ensure_future(made.run(job))
            seen = await followed_from_start(await live_of(made), (tmp_path / "go").touch)
            outcome = await run
        assert seen == numbered(200_000) + b"end\n"
        assert outcome.output.size == len(seen)
        assert b"bytes dropped" in outcome.output.text

    run_loop(scenario())


@LOOPS
def test_follower_sees_output_before_the_command_ends(run_loop: RunLoop, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with executor() as made:
            wait = f"printf first; {WAIT}; printf second"
            run = asyncio.ensure_future(made.run(exec_job(wait, cwd=str(tmp_path))))
            async with aclosing((await live_of(made)).follow(Stream.OUTPUT)) as pieces:
                assert await anext(pieces) == b"first"
                (tmp_path / "go").touch()
                assert [piece async for piece in pieces] == [b"second"]
            assert (await run).output.text == b"firstsecond"

    run_loop(scenario())


def test_follower_from_any_offset_gets_the_rest(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with executor() as made:
            cmd = f"{COUNT.format(1000)}; {WAIT}; echo end"
            run = asyncio.ensure_future(made.run(exec_job(cmd, cwd=str(tmp_path))))
            live = await live_of(made)
            whole = numbered(1000) + b"end\n"
            offsets = [0, 1, 17, len(whole) - 4, len(whole) - 1, len(whole), len(whole) + 5]
            following = [asyncio.ensure_future(all_of(live, offset=offset)) for offset in offsets]
            await until(lambda: live.snapshot().size == len(whole) - 4)
            (tmp_path / "go").touch()
            assert await asyncio.gather(*following) == [whole[offset:] for offset in offsets]
            await run

    asyncio.run(scenario())


def test_both_streams_of_a_command_are_followed_apart() -> None:
    async def scenario() -> None:
        async with executor() as made:
            run = asyncio.ensure_future(made.run(exec_job("echo out; echo err >&2; echo out2")))
            live = await live_of(made)
            streams = await asyncio.gather(*(all_of(live, stream) for stream in Stream))
            assert streams == [b"out\nout2\n", b"err\n", b""]
            await run

    asyncio.run(scenario())


def test_run_that_says_nothing_ends_its_followers() -> None:
    async def scenario() -> None:
        async with executor() as made:
            run = asyncio.ensure_future(made.run(exec_job("sleep 0.05")))
            assert await all_of(await live_of(made)) == b""
            await run
            assert made.live(7) is None

    asyncio.run(scenario())


def test_cancelled_run_ends_its_followers_with_what_came() -> None:
    async def scenario() -> None:
        async with executor() as made:
            run = asyncio.ensure_future(made.run(exec_job("trap 'echo bye; exit' TERM; echo hi; sleep 60 & wait")))
            live = await live_of(made)
            async with aclosing(live.follow(Stream.OUTPUT)) as pieces:
                assert await anext(pieces) == b"hi\n"
                run.cancel()
                assert [piece async for piece in pieces] == [b"bye\n"]
            with pytest.raises(asyncio.CancelledError):
                await run

    asyncio.run(scenario())


async def test_slow_follower_gets_a_mark_and_takes_no_memory() -> None:
    response, size, piece = Response(1000), 0, b"x" * MIB
    slow = response.follow(Stream.OUTPUT)
    response.take(b"start")
    assert await anext(slow) == b"start"
    tracemalloc.start()
    try:
        for _ in range(100):
            response.take(piece)
            size += len(piece)
        grown = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert grown < 2 * FOLLOWED_BYTES + 2 * MIB
    LiveOutputs().end(7, response)
    rest = [piece async for piece in slow]
    first = rest[0] + rest[1]
    seen = sum(map(len, rest)) - len(first.partition(b"\n[")[2]) - 2
    assert b"bytes dropped" in first
    assert max(map(len, rest)) <= PIECE_BYTES
    assert seen >= FOLLOWED_BYTES


async def test_followers_go_their_own_ways_and_leave_nothing() -> None:
    response = Response(10)
    fast, slow = response.follow(Stream.OUTPUT), response.follow(Stream.OUTPUT)
    response.take(b"01234")
    assert [await anext(fast), await anext(slow)] == [b"01234", b"01234"]
    response.take(b"56789abcdef")
    response.take(b"ghi")
    assert await anext(fast) == b"56789abcdefghi"
    waiting = asyncio.ensure_future(anext(fast))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert response.more is not None
    await slow.aclose()
    assert response.more is None
    response.take(b"-" * 100)
    assert response.text == b"01234\n[... 109 bytes dropped ...]\n-----"


def test_runs_are_found_by_job_and_claim() -> None:
    outputs, first, second = LiveOutputs(), LiveOutput(), LiveOutput()
    outputs.add(7, 1, first)
    assert outputs.find(7) is outputs.find(7, 1) is first
    assert outputs.find(7, 2) is outputs.find(8) is None
    outputs.add(7, 2, second)  # given to us again while the first still ends
    outputs.end(7, first)
    assert (first.has_ended, second.has_ended) == (True, False)
    assert outputs.find(7) is outputs.find(7, 2) is second
    outputs.end(7, second)
    assert outputs.find(7) is None


@LOOPS
@pytest.mark.parametrize("is_chunked", [True, False], ids=["chunked", "until_the_end"])
def test_follower_of_a_response_sees_head_and_body_as_they_come(run_loop: RunLoop, is_chunked: bool) -> None:
    async def scenario() -> None:
        told = asyncio.Event()

        async def stream(visit: Visit) -> None:
            await visit.request()
            kind = b"Transfer-Encoding: chunked" if is_chunked else b"Connection: close"
            await visit.answer(b"HTTP/1.1 200 OK\r\n" + kind + b"\r\n\r\n")
            for n in range(3):
                await told.wait()
                told.clear()
                piece = b"piece %d " % n
                await visit.answer(b"%x\r\n%b\r\n" % (len(piece), piece) if is_chunked else piece)
            await visit.answer(b"0\r\n\r\n" if is_chunked else b"")

        async with target(stream) as place, http_executor() as made:
            run = asyncio.ensure_future(made.run(http_job(place.url)))
            live = await live_of(made)
            async with aclosing(live.follow(Stream.HEAD)) as head:
                assert (await anext(head)).startswith(b"HTTP/1.1 200 OK")
            async with aclosing(live.follow(Stream.OUTPUT)) as pieces:
                for n in range(3):
                    told.set()
                    assert await anext(pieces) == b"piece %d " % n
                assert [piece async for piece in pieces] == []
            assert (await run).output.text == b"piece 0 piece 1 piece 2 "

    run_loop(scenario())


@LOOPS
def test_follower_of_a_fast_response_loses_nothing(run_loop: RunLoop) -> None:
    """The loop reads more than once before a follower has its turn, and cuts where no chunk does."""
    body = numbered(400_000)
    go = asyncio.Event()

    async def stream(visit: Visit) -> None:
        await visit.request()
        await go.wait()
        await visit.answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for start in range(0, len(body), 70_001):
            piece = body[start : start + 70_001]
            await visit.answer(b"%x\r\n%b\r\n" % (len(piece), piece))
        await visit.answer(b"0\r\n\r\n")

    async def scenario() -> None:
        async with target(stream) as place, http_executor(output_limit=10) as made:
            run = asyncio.ensure_future(made.run(http_job(place.url)))
            live = await live_of(made)
            assert await followed_from_start(live, go.set) == body
            assert await all_of(live, Stream.STDERR) == b""
            await run

    run_loop(scenario())


async def test_follower_that_joins_late_gets_what_is_kept_and_a_mark() -> None:
    async def gated(visit: Visit) -> None:
        await visit.request()
        await visit.answer(b"HTTP/1.1 200 OK\r\n\r\n" + b"a" * 100)
        await go.wait()
        await visit.answer(b"b" * 20)

    go = asyncio.Event()
    async with target(gated) as place, http_executor(output_limit=10) as made:
        run = asyncio.ensure_future(made.run(http_job(place.url)))
        live = await live_of(made)
        await until(lambda: live.snapshot().size == 100)
        following = asyncio.ensure_future(all_of(live))
        await asyncio.sleep(0)
        go.set()
        assert await following == b"aaaaa\n[... 90 bytes dropped ...]\naaaaa" + b"b" * 20
        assert (await run).output.text == b"aaaaa\n[... 110 bytes dropped ...]\nbbbbb"


def test_nothing_of_a_run_is_kept_after_it(tmp_path: Path) -> None:
    """No reference goes in a circle: an output of a MiB must not wait for the collector."""

    async def scenario() -> None:
        async with executor() as made:
            run = asyncio.ensure_future(made.run(exec_job("echo out")))
            gone = weakref.ref(await live_of(made))
            await all_of(await live_of(made))
            await run
            del run
            assert gone() is None

    gc.disable()
    try:
        asyncio.run(scenario())
    finally:
        gc.enable()
