"""Nodes share the turns of what one of them is enough for."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import chain, repeat

import pytest

from queue_server.domain.errors import StoreUnavailable
from queue_server.engine import upkeep as upkeep_module
from queue_server.engine.outage import Outage
from queue_server.engine.upkeep import Upkeep


class Nodes:
    """A store of which only the number of its nodes is known."""

    def __init__(self, nodes: int, *, is_shared: bool = True) -> None:
        self.nodes = nodes
        self.is_shared = is_shared


class Restarted(Nodes):
    """A store that another node joins while this one pauses, and that then loses a node."""

    def __init__(self) -> None:
        self.is_shared = True
        self._counts = chain([2, 2, 3], repeat(2))

    @property
    def nodes(self) -> int:
        """The next count."""
        return next(self._counts)


class Lines:
    """A log that keeps what it is told."""

    def __init__(self) -> None:
        self.lines = list[str]()

    def warning(self, event: str, **_fields: object) -> None:
        """Keep a line."""
        self.lines.append(event)


def upkeep(store: Nodes, chance: float = 0.5, log: Lines | None = None) -> Upkeep:
    return Upkeep(store, lambda: chance, Outage(log or Lines()))


@pytest.mark.parametrize(("nodes", "chance", "pause_s"), [(1, 0.5, 2.0), (10, 0.0, 10.0), (10, 1.0, 30.0)])
def test_pause_grows_with_the_nodes_and_differs_by_chance(nodes: int, chance: float, pause_s: float) -> None:
    assert upkeep(Nodes(nodes), chance).pause_s(2.0) == pause_s


def test_server_that_is_alone_on_a_file_keeps_its_time() -> None:
    assert upkeep(Nodes(1, is_shared=False), 0.9).pause_s(2.0) == 2.0


def test_a_turn_comes_at_once_when_a_node_has_gone_and_when_it_is_woken() -> None:
    async def scenario() -> None:
        store, wake = Nodes(3), asyncio.Event()
        turns = asyncio.Queue[int]()
        running = asyncio.create_task(upkeep(store).run(_count(turns), 1000.0, wake))
        async with asyncio.timeout(5):
            assert await turns.get() == 1
            store.nodes = 2
            assert await turns.get() == 2
            wake.set()
            assert await turns.get() == 3
        running.cancel()

    asyncio.run(scenario())


def test_a_turn_comes_at_once_when_a_node_has_gone_in_whose_place_another_came(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep_module, "STEP_S", 0.01)

    async def scenario() -> None:
        turns = asyncio.Queue[int]()
        running = asyncio.create_task(upkeep(Restarted()).run(_count(turns), 1000.0))
        async with asyncio.timeout(5):
            assert await turns.get() == 1
            assert await turns.get() == 2
        running.cancel()

    asyncio.run(scenario())


def test_turns_that_fail_are_told_once_and_go_on() -> None:
    async def scenario() -> None:
        log, turns = Lines(), asyncio.Queue[int]()
        count = _count(turns)

        async def part() -> None:
            await count()
            raise StoreUnavailable("gone")

        running = asyncio.create_task(upkeep(Nodes(1), log=log).run(part, 0.01))
        async with asyncio.timeout(5):
            while await turns.get() < 4:
                pass
        running.cancel()
        assert log.lines == ["the store can't be written, trying again"]

    asyncio.run(scenario())


def _count(turns: asyncio.Queue[int]) -> Callable[[], Awaitable[None]]:
    numbers = iter(range(1, 1000))

    async def part() -> None:
        await turns.put(next(numbers))

    return part
