"""When a node looks at the database, and what it does with what it sees."""

import asyncio
import random
from collections.abc import Callable, Collection, Sequence

from queue_server.clock import ServerClock
from queue_server.domain.errors import StoreError
from queue_server.store.contract import LEASE_S, ArrivalListener, CancelListener, Node
from queue_server.store.mistakes import report
from queue_server.store.pulse.hearing import Hearing
from queue_server.store.pulse.outbox import Outbox
from queue_server.store.pulse.source import Look, PulseSource, Signs, follows_text
from queue_server.store.pulse.telling import Listeners
from queue_server.store.relay import Followed

LOOK_S = 1.0
WAITED_LOOK_S = 0.2
"""While somebody waits for an end or wants messages: so much later it is known here at the most."""

STEP_S = 0.25
"""How soon it is noticed that somebody has begun to wait."""

JITTER = 0.1
"""By this part of it each pause differs from the others, so that the nodes' looks spread."""

HURRIED_LOOK_S = 0.01
"""The least time between two looks: signals that come faster than that are one."""

FIRST_BACKOFF_S = 0.1
LONGEST_BACKOFF_S = 1.0


class Pulse:
    """Looks about every second from `start` to `stop`. Belongs to the event loop. Its errors end nothing."""

    def __init__(
        self,
        source: PulseSource,
        clock: ServerClock,
        chance: Callable[[], float] | None = None,
    ) -> None:
        self._source = source
        self._clock = clock
        self._chance = chance or random.Random().random  # noqa: S311 (spreads looks; no secret)
        self._listeners = Listeners()
        self._outbox = Outbox(self._send)
        self._hearing: Hearing | None = None
        self._follows = ""
        self._said = (False, "")
        self._hurried = asyncio.Event()
        self._backoff = 0.0
        self._node_id = 0
        self._tasks: list[asyncio.Task[None]] = []
        self.nodes = 1
        self.slots = 0
        self.is_relaying = False

    def start(self, node: Node) -> None:
        """Look from now on, on behalf of a node."""
        self._node_id, self.slots = node.id, node.slots
        self._tasks = [asyncio.create_task(self._run(), name="pulse"), asyncio.create_task(self._outbox.run())]

    async def stop(self) -> None:
        """Look no more. A look that is on its way is given up."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    def hurry(self) -> None:
        """Look at once: something may have happened."""
        self._hurried.set()

    def on_arrival(self, listener: ArrivalListener) -> None:
        """See Store.on_arrival; of jobs that any node has stored, and again with each look while they wait."""
        self._listeners.on_arrival(listener)

    def on_cancel(self, listener: CancelListener) -> None:
        """See Store.on_cancel."""
        self._listeners.on_cancel(listener)

    def on_end(self, waited: Callable[[], Collection[int]], listener: Callable[[int], None]) -> None:
        """See Store.on_end."""
        self._listeners.on_end(waited, listener)

    def follow(self, followed: Collection[Followed]) -> None:
        """See Follows.follow."""
        self._follows = follows_text(followed)
        self.hurry()

    def on_followed(self, listener: Callable[[Sequence[Followed]], None]) -> None:
        """See Follows.on_followed."""
        self._listeners.on_followed(listener)

    def on_kept(self, listener: Callable[[], None]) -> None:
        """See Store.on_kept."""
        self._listeners.on_kept(listener)

    def on_relayed(self, listener: Callable[[bytes], None]) -> None:
        """See Relay.on_relayed."""
        self._listeners.on_relayed(listener)

    def relay(self, message: bytes) -> None:
        """See Relay.relay."""
        if self.is_relaying:
            self._outbox.put(message)

    def want_relayed(self, wanted: bool) -> None:
        """See Relay.want_relayed."""
        if wanted == (self._hearing is not None):
            return
        self._hearing = Hearing(self._clock.now()) if wanted else None
        self.hurry()

    async def _run(self) -> None:
        while True:
            self._hurried.clear()
            try:
                await self._look()
                self._backoff = 0.0
            except StoreError:
                self._backoff = min(max(FIRST_BACKOFF_S, 2 * self._backoff), LONGEST_BACKOFF_S)
            except Exception as error:  # noqa: BLE001 (a mistake of ours must be seen, and end nothing)
                self._backoff = LONGEST_BACKOFF_S
                report("a look at the database", error)
            await self._pause()

    async def _look(self) -> None:
        await self._say_what_it_wants()
        hearing, asked_at = self._hearing, self._clock.steady()
        signs = await self._source.look(
            Look(
                node_id=self._node_id,
                now=self._clock.now(),
                lease=round(LEASE_S * 1_000_000),
                waited=sorted(self._listeners.waited),
                heard=None if hearing is None else hearing.heard,
                since=0 if hearing is None else hearing.since,
            )
        )
        self._clock.follow(signs.told_at, asked_at)
        self._learn(signs, hearing)

    def _learn(self, signs: Signs, hearing: Hearing | None) -> None:
        self.nodes, self.slots, self.is_relaying = max(1, signs.nodes), signs.slots, signs.is_relaying
        messages = () if hearing is None else hearing.take(signs.messages, signs.told_at)
        self._listeners.tell(signs, messages)

    async def _say_what_it_wants(self) -> None:
        wants = (self._hearing is not None, self._follows)
        if wants != self._said:
            await self._source.want_messages(self._node_id, *wants)
            self._said = wants

    async def _send(self, bodies: Collection[bytes]) -> None:
        await self._source.send(self._node_id, tuple(bodies))

    async def _pause(self) -> None:
        """Until the next look is due. Somebody may begin to wait meanwhile, so it wakes to see."""
        if self._backoff:
            await asyncio.sleep(self._backoff * self._jitter())
            return
        await asyncio.sleep(HURRIED_LOOK_S)
        jitter, slept = self._jitter(), HURRIED_LOOK_S
        while not self._hurried.is_set() and (rest := self._interval_s * jitter - slept) > 0:
            step = min(rest, STEP_S)
            slept += step
            await _wait(self._hurried, step)

    @property
    def _interval_s(self) -> float:
        is_waited = self._hearing is not None or self._listeners.waited
        return WAITED_LOOK_S if is_waited else LOOK_S

    def _jitter(self) -> float:
        return 1 + JITTER * (2 * self._chance() - 1)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
