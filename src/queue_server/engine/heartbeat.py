"""The node's sign of life, from a thread of its own: an event loop that stalls must not lose the lease."""

import threading

from queue_server.clock import Clock
from queue_server.domain.errors import StoreError
from queue_server.store.contract import Heartbeat
from queue_server.telemetry.logs import Log

BEAT_S = 5.0


class HeartbeatThread:
    """Beats every BEAT_S seconds until stopped."""

    def __init__(self, heartbeat: Heartbeat, clock: Clock, log: Log) -> None:
        self._heartbeat = heartbeat
        self._clock = clock
        self._log = log
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
        while not self._stop.wait(BEAT_S):
            try:
                self._heartbeat.beat(self._clock.now())
            except StoreError as error:
                self._log.warning("can't write the heartbeat", error=str(error))
