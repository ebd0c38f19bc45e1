"""The node's sign of life, from a thread of its own: an event loop that stalls must not lose the lease."""

import threading

from queue_server.clock import ServerClock
from queue_server.domain.errors import StoreError
from queue_server.engine.lease import Lease
from queue_server.engine.outage import Outage
from queue_server.store.contract import Heartbeat

BEAT_S = 5.0
AGAIN_S = 1.0
"""After a beat that could not be written the next one comes sooner: the lease is short."""


class HeartbeatThread:
    """Beats every BEAT_S seconds until stopped, and confirms the lease."""

    def __init__(self, heartbeat: Heartbeat, lease: Lease, clock: ServerClock, outage: Outage) -> None:
        self._heartbeat = heartbeat
        self._lease = lease
        self._clock = clock
        self._outage = outage
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; returns when the last beat is over."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        pause = BEAT_S
        while not self._stop.wait(pause):
            asked_at = self._clock.steady()
            try:
                self._heartbeat.beat(self._clock.now())
            except StoreError as error:
                self._outage.noticed(error)
                pause = AGAIN_S
            else:
                self._lease.confirm(asked_at)
                self._outage.over()
                pause = BEAT_S
