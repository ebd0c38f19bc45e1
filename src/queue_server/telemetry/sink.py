"""Writes log lines from a thread, so that a slow terminal or a blocked pipe never stops the server."""

import queue
import threading
from typing import TextIO

LINES_LIMIT = 10_000
"""Lines that may wait. When the reader is slower than that, lines are dropped and counted."""


class LineSink:
    """A stream that takes lines and never blocks the caller."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._dropped = 0
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def write(self, line: str) -> None:
        """Queue one line (without its end)."""
        if self._lines.qsize() >= LINES_LIMIT:
            self._dropped += 1
        else:
            self._lines.put(line)

    def close(self, timeout_s: float = 2.0) -> None:
        """Write what is queued, for at most `timeout_s`."""
        self._lines.put(None)
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while True:
            lines, is_last = self._collect()
            if self._dropped:
                lines.append(f"({self._dropped} log lines dropped: the reader of the log is too slow)")
                self._dropped = 0
            try:
                self._stream.write("\n".join([*lines, ""]))
                self._stream.flush()
            except (OSError, ValueError):
                pass  # nobody reads the log any more; the server goes on
            if is_last:
                return

    def _collect(self) -> tuple[list[str], bool]:
        line, lines = self._lines.get(), list[str]()
        while line is not None:
            lines.append(line)
            try:
                line = self._lines.get_nowait()
            except queue.Empty:
                return lines, False
        return lines, True
