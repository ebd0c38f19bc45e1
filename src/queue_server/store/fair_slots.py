"""Slots for what is done in the event loop, which callers take in turns: nobody's thousand lists hold up another's."""

import asyncio
from collections import OrderedDict, deque

from queue_server.store.asking import asker


class FairSlots:
    """So many may be inside (`async with`) at a time. Of those who wait, each asker's first comes before any second."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    async def __aenter__(self) -> None:
        if self._free:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(asker.get(), deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._pass_on()
            raise

    async def __aexit__(self, *_error: object) -> None:
        self._pass_on()

    def _pass_on(self) -> None:
        """Give the slot to whoever is next, but not to one who has gone away."""
        while self._waiting:
            name, turns = self._waiting.popitem(last=False)
            turn = turns.popleft()
            if turns:
                self._waiting[name] = turns
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
