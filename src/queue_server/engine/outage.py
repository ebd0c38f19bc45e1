"""Says in the log once that the store does not answer, and once that it does again, however many parts notice."""

import threading

from queue_server.telemetry.logs import Log


class Outage:
    """What is known of the store being out of reach. Any thread may tell it."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._is_on = False

    def noticed(self, error: Exception) -> None:
        """A part could not write or read; it tries again."""
        with self._lock:
            is_news, self._is_on = not self._is_on, True
        if is_news:
            self._log.warning("the store can't be written, trying again", error=str(error))

    def over(self) -> None:
        """Something has been written."""
        with self._lock:
            was_on, self._is_on = self._is_on, False
        if was_on:
            self._log.info("the store can be written again")
