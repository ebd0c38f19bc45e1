"""Threads that serve all callers in turn."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from queue_server.domain.errors import StoreUnavailable
from queue_server.store.asking import asker
from queue_server.store.fair_threads import AHEAD, WAITING_LIMIT, FairThreads


class Work:
    """Pieces of work that are done once the gate is open, and in which order they were."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.done: list[str] = []
        self.threads = FairThreads(1, "test")

    async def ask(self, caller: str, name: str = "") -> str:
        asker.set(caller)
        return await self.threads.do(self._piece(name or caller))

    def _piece(self, name: str) -> Callable[[], str]:
        def do() -> str:
            self.gate.wait(10)
            self.done.append(name)
            return name

        return do


async def asked(work: Work, *callers: str) -> list[asyncio.Task[str]]:
    tasks = [asyncio.create_task(work.ask(caller)) for caller in callers]
    await asyncio.sleep(0)
    return tasks


async def test_one_question_comes_right_after_what_the_threads_were_handed() -> None:
    work = Work()
    flood = await asked(work, *["flood"] * 100)
    other = await asked(work, "other", "third")
    work.gate.set()
    assert await asyncio.gather(*flood, *other) == ["flood"] * 100 + ["other", "third"]
    assert work.done.index("other") == AHEAD + 1
    assert work.done.index("third") == AHEAD + 2
    work.threads.close()


async def test_callers_take_turns() -> None:
    work = Work()
    tasks = await asked(work, *"x" * AHEAD, *"aaabbc")
    work.gate.set()
    await asyncio.gather(*tasks)
    assert work.done[AHEAD:] == [*"abcaba"]
    work.threads.close()


async def test_questions_of_one_caller_keep_their_order() -> None:
    work = Work()
    names = [str(number) for number in range(20)]
    tasks = [asyncio.create_task(work.ask("a", name)) for name in names]
    work.gate.set()
    await asyncio.gather(*tasks)
    assert work.done == names
    work.threads.close()


async def test_more_questions_than_may_wait_are_refused_and_others_are_not() -> None:
    work = Work()
    tasks = await asked(work, *["flood"] * (AHEAD + WAITING_LIMIT))
    with pytest.raises(StoreUnavailable, match="of this client wait already"):
        await work.ask("flood")
    tasks += await asked(work, "other")
    work.gate.set()
    await asyncio.gather(*tasks)
    assert len(work.done) == AHEAD + WAITING_LIMIT + 1
    work.threads.close()


async def test_question_that_was_given_up_is_not_asked() -> None:
    work = Work()
    tasks = await asked(work, *"x" * AHEAD, "gone", "other")
    tasks[AHEAD].cancel()
    await asyncio.sleep(0)
    work.gate.set()
    assert await tasks[-1] == "other"
    assert "gone" not in work.done
    assert await work.ask("again") == "again"
    work.threads.close()


async def test_error_reaches_who_asked_and_the_others_go_on() -> None:
    threads = FairThreads(1, "test")

    def fail() -> None:
        raise ValueError("no")

    results = await asyncio.gather(
        *[threads.do(fail) for _ in range(10)], threads.do(lambda: 1), return_exceptions=True
    )
    assert [str(result) for result in results] == ["no"] * 10 + ["1"]
    threads.close()


async def test_what_waits_when_they_end_is_given_up() -> None:
    work = Work()
    tasks = await asked(work, *"x" * AHEAD, "late")
    work.gate.set()
    work.threads.close()
    with pytest.raises(asyncio.CancelledError):
        await tasks[-1]
