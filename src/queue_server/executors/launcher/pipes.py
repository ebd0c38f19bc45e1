"""The server's ends of a program's stdin, stdout and stderr. None of them ever blocks the event loop."""

import asyncio
import os

from queue_server.domain.outcome import Output
from queue_server.executors.output import OutputBuffer

READ_SIZE = 256 * 1024
"""Bytes per read: more than a pipe holds (64 KiB, see pipe(7)), so that a shorter read means that it is empty."""

LAST_READS = 4
"""Reads per pipe after the program's end: as much as the largest pipe holds (1 MiB), should somebody still write."""


class Streams:
    """A program's streams. `theirs` are its stdout, stderr and, if it has an input, stdin: for the one who starts it."""

    def __init__(self, data: bytes, limit: int, scratch: memoryview) -> None:
        output, error_output, *given = _open_pipes(3 if data else 2)
        self.theirs = [output[1], error_output[1]] + [readable for readable, _ in given]
        self._output = OutputPipe(output[0], limit, scratch)
        self._error_output = OutputPipe(error_output[0], limit, scratch)
        self._inputs = [InputPipe(writable, data) for _, writable in given]

    def finish(self) -> Output:
        """What the program has written, now that it has ended."""
        self._output.finish()
        self._error_output.finish()
        text, error_text = self._output.kept, self._error_output.kept
        return Output(
            text=text.value(), error_text=error_text.value(), size=text.size, error_size=error_text.size
        )

    def close(self) -> None:
        """Close the server's ends."""
        for pipe in (self._output, self._error_output, *self._inputs):
            pipe.close()


class OutputPipe:
    """Collects what a program writes, until it closes its end or `finish` is called.

    All pipes of an event loop share one `scratch` memory of READ_SIZE bytes: a read is copied on before the next.
    """

    def __init__(self, descriptor: int, limit: int, scratch: memoryview) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor: int | None = descriptor
        self._scratch = scratch
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(descriptor, self._on_readable)
        self.kept = OutputBuffer(limit)

    def finish(self) -> None:
        """Take what is in the pipe now and close it, whoever else may hold its other end."""
        for _ in range(LAST_READS):
            if self._descriptor is None or self._read(self._descriptor) < READ_SIZE:
                break
        self.close()

    def close(self) -> None:
        """Close it and forget what is in it."""
        if self._descriptor is not None:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None

    def _on_readable(self) -> None:
        if self._descriptor is not None and self._read(self._descriptor) == 0:
            self.close()

    def _read(self, descriptor: int) -> int:
        """Bytes read: 0 at the end, -1 when there are none now."""
        try:
            size = os.readv(descriptor, (self._scratch,))
        except BlockingIOError:
            return -1
        if size:
            self.kept.feed(self._scratch[:size])
        return size


class InputPipe:
    """Writes a program's input as fast as it is read. A program that does not read it all is no error."""

    def __init__(self, descriptor: int, data: bytes) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor: int | None = descriptor
        self._left = memoryview(data)
        self._loop = asyncio.get_running_loop()
        self._write()
        if self._descriptor is not None:
            self._loop.add_writer(descriptor, self._write)

    def close(self) -> None:
        """Close it, written or not."""
        if self._descriptor is not None:
            self._loop.remove_writer(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = None

    def _write(self) -> None:
        if self._descriptor is None:
            return
        try:
            self._left = self._left[os.write(self._descriptor, self._left) :]
        except BlockingIOError:
            return
        except BrokenPipeError:
            self._left = self._left[:0]
        if not self._left:
            self.close()


def _open_pipes(count: int) -> list[tuple[int, int]]:
    """That many pipes (readable, writable), or OSError and none."""
    pipes: list[tuple[int, int]] = []
    try:
        for _ in range(count):
            pipes.append(os.pipe())  # noqa: PERF401 (those opened before an error have to be closed)
    except OSError:
        for pair in pipes:
            os.close(pair[0])
            os.close(pair[1])
        raise
    return pipes
