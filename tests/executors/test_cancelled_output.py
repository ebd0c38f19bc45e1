"""What a run has told is not lost when it is cancelled."""

import asyncio
import time
from pathlib import Path

import pytest

from queue_server.domain.job import Job
from queue_server.domain.outcome import Output
from queue_server.executors.contract import Executor, RunCancelled
from tests.executors.builders import exec_job, executor, http_executor, http_job, lives, pid_in, until
from tests.executors.http_client.lab import Visit, target

STUBBORN = "trap '' TERM; echo out; echo err >&2; echo $$ >leader; while :; do sleep 1; done"


async def cancelled(made: Executor, job: Job, size: int) -> Output:
    """The output of a run that is cancelled when it has told so much."""

    async def run() -> Output:
        with pytest.raises(RunCancelled) as end:
            await made.run(job)
        return end.value.output

    task = asyncio.ensure_future(run())
    await until(lambda: (live := made.live(job.id)) and live.snapshot().size >= size)
    task.cancel()
    return await task


async def test_cancelled_request_keeps_head_and_the_part_of_the_body_that_came() -> None:
    async def half(visit: Visit) -> None:
        await visit.request()
        await visit.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        await visit.end()

    async with target(half) as place, http_executor() as made:
        output = await cancelled(made, http_job(place.url), 4)
        assert made.live(7) is None
    assert output.text == b"half"
    assert output.head.startswith(b"HTTP/1.1 200 OK")
    assert output.size == 4


async def test_cancelled_command_keeps_what_it_printed_until_its_end() -> None:
    async with executor() as made:
        cmd = "trap 'echo cleaned up; exit' TERM; echo started; echo err >&2; while :; do sleep 0.01; done"
        output = await cancelled(made, exec_job(cmd), 8)
        assert made.live(7) is None
    assert output.text == b"started\ncleaned up\n"
    assert output.error_text.startswith(b"err\n")


async def test_cancelled_command_that_ignores_sigterm_is_dead_within_a_second(tmp_path: Path) -> None:
    async with executor() as made:
        task = asyncio.ensure_future(made.run(exec_job(STUBBORN, cwd=str(tmp_path))))
        leader = await pid_in(tmp_path / "leader")
        begin = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        took = time.monotonic() - begin
        assert not lives(leader)
    assert 0.4 < took < 1  # it was given half a second


async def test_twice_cancelled_command_keeps_its_output(tmp_path: Path) -> None:
    async def run() -> Output:
        with pytest.raises(RunCancelled) as end:
            await made.run(exec_job(STUBBORN, cwd=str(tmp_path)))
        return end.value.output

    async with executor() as made:
        task = asyncio.ensure_future(run())
        await pid_in(tmp_path / "leader")
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
        output = await task
    assert (output.text, output.error_text) == (b"out\n", b"err\n")
