import asyncio

import pytest

from queue_server.store.asking import asker
from queue_server.store.fair_slots import FairSlots


async def test_askers_take_turns():
    slots, order = FairSlots(1), []

    async def use(name: str) -> None:
        asker.set(name)
        async with slots:
            order.append(name)
            await asyncio.sleep(0)

    await asyncio.gather(*(asyncio.create_task(use(name)) for name in "aaaaabbc"))
    assert "".join(order) == "aabcabaa", "the first is inside before anybody waits"


async def test_no_more_than_so_many_are_inside():
    slots, inside, most = FairSlots(3), 0, 0

    async def use() -> None:
        nonlocal inside, most
        async with slots:
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(use() for _ in range(20)))
    assert (inside, most) == (0, 3)


@pytest.mark.parametrize("is_its_turn", [False, True])
async def test_slot_of_one_who_has_gone_away_is_passed_on(is_its_turn):
    slots = FairSlots(1)
    await slots.__aenter__()
    gone, next_ = (asyncio.create_task(slots.__aenter__()) for _ in range(2))
    await asyncio.sleep(0)
    if is_its_turn:
        await slots.__aexit__()
        gone.cancel()
    else:
        gone.cancel()
        await asyncio.sleep(0)
        await slots.__aexit__()
    await asyncio.wait_for(next_, 5)
    await slots.__aexit__()
    async with slots:
        pass
