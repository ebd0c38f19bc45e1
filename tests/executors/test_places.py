"""Places for commands: order, limit, and what is worth having at hand."""

import asyncio

from queue_server.executors.places import AHEAD_FACTOR, Places


class Watch:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


async def pass_through(places: Places, watch: Watch, seconds: float, times: int = 1) -> None:
    for _ in range(times):
        ticket = await places.take()
        assert ticket is not None
        watch.now += seconds
        places.leave(ticket)


def test_more_than_the_places_wait_in_order() -> None:
    async def scenario() -> None:
        places = Places(1, Watch())
        first = await places.take()
        order: list[str] = []

        async def wait(name: str) -> None:
            ticket = await places.take()
            order.append(name)
            assert ticket is not None
            places.leave(ticket)

        async with asyncio.TaskGroup() as group:
            group.create_task(wait("a"))
            group.create_task(wait("b"))
            await asyncio.sleep(0)
            assert order == []
            assert first is not None
            places.leave(first)
        assert order == ["a", "b"]

    asyncio.run(scenario())


def test_who_waits_too_long_gets_no_place_and_takes_none() -> None:
    async def scenario() -> None:
        places = Places(1, Watch())
        first = await places.take()
        assert await places.take() is None
        assert first is not None
        places.leave(first)
        assert await places.take() is not None

    asyncio.run(scenario())


def test_nothing_is_at_hand_before_commands_are_known_to_be_short() -> None:
    assert Places(4, Watch()).ahead() == 0


def test_short_commands_are_kept_at_hand_and_long_ones_are_not() -> None:
    async def scenario() -> None:
        watch = Watch()
        places = Places(4, watch)
        await pass_through(places, watch, 0.001, times=5)
        assert places.ahead() == AHEAD_FACTOR * 4
        await pass_through(places, watch, 1.0)
        assert places.ahead() == 0

    asyncio.run(scenario())


def test_one_command_that_goes_on_ends_claiming_ahead() -> None:
    async def scenario() -> None:
        watch = Watch()
        places = Places(4, watch)
        await pass_through(places, watch, 0.001, times=5)
        await places.take()
        assert places.ahead() > 0
        watch.now += 0.2
        assert places.ahead() == 0

    asyncio.run(scenario())
