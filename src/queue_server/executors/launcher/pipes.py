"""The server's ends of a program's stdin, stdout and stderr. None of them ever blocks the event loop."""

import asyncio
import os

from queue_server.domain.outcome import Output
from queue_server.executors.launcher.messages import close_all
from queue_server.executors.live import FOLLOWED_BYTES, PIECE_BYTES, LiveOutput, Stream, wake
from queue_server.executors.output import OutputBuffer

READ_SIZE = 256 * 1024
"""Bytes per read: more than a pipe usually holds (64 KiB, pipe(7)), so that a shorter read emptied it."""

LAST_READS = 4
"""Reads per pipe after the program's end: what the largest pipe holds (1 MiB), if somebody still writes."""


class Streams(LiveOutput):
    """Our ends of a program's streams; `theirs` are its stdout, its stderr and, if there is an input, stdin.

    Who starts the program closes those. `scratch` is memory of READ_SIZE bytes that streams may share.
    """

    def __init__(self, data: bytes, limit: int, scratch: memoryview) -> None:
        super().__init__()
        output, error_output, *given = _open_pipes(3 if data else 2)
        self.theirs = [output[1], error_output[1], *(readable for readable, _ in given)]
        self._output = OutputPipe(output[0], limit, scratch)
        self._error_output = OutputPipe(error_output[0], limit, scratch)
        self._inputs = [InputPipe(writable, data) for _, writable in given]

    def finish(self) -> Output:
        """What the program has written, now that it has ended."""
        self._output.finish()
        self._error_output.finish()
        return self.snapshot()

    def snapshot(self) -> Output:
        """See LiveOutput."""
        kept, error_kept = self._output.kept, self._error_output.kept
        return Output(kept.value(), error_kept.value(), size=kept.size, error_size=error_kept.size)

    def read(self, stream: Stream, offset: int) -> tuple[bytes, int]:
        """See LiveOutput."""
        match stream:
            case Stream.OUTPUT:
                return self._output.kept.read(offset, PIECE_BYTES)
            case Stream.STDERR:
                return self._error_output.kept.read(offset, PIECE_BYTES)
            case Stream.HEAD:
                return b"", offset

    def watch(self, more: asyncio.Event | None) -> None:
        """See LiveOutput."""
        self._output.watch(more)
        self._error_output.watch(more)

    def close(self) -> None:
        """Close our ends."""
        for pipe in (self._output, self._error_output, *self._inputs):
            pipe.close()


class OutputPipe:
    """Collects what a program writes, until all have closed their end or `finish` is called."""

    def __init__(self, descriptor: int, limit: int, scratch: memoryview) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._is_open = True
        self._scratch = scratch
        self._more: asyncio.Event | None = None
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(descriptor, self._on_readable)
        self.kept = OutputBuffer(limit)

    def watch(self, more: asyncio.Event | None) -> None:
        """Someone follows, or nobody any more; see LiveOutput."""
        self._more = more
        self.kept.keep_last(FOLLOWED_BYTES if more else 0)

    def finish(self) -> None:
        """Take what is in the pipe now and close it, whoever may still hold its other end."""
        for _ in range(LAST_READS):
            if not self._is_open or self._read() < READ_SIZE:
                break
        self.close()

    def close(self) -> None:
        """Close it, whatever is in it."""
        if self._is_open:
            self._is_open = False
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)

    def _on_readable(self) -> None:
        if self._read() == 0:
            self.close()

    def _read(self) -> int:
        """The number of bytes read: 0 at the end, -1 when there are none now."""
        try:
            size = os.readv(self._descriptor, (self._scratch,))
        except BlockingIOError:
            return -1
        if size:
            self.kept.feed(self._scratch[:size])
            if self._more is not None:
                wake(self._more)
        return size


class InputPipe:
    """Writes a program's input as fast as it is read. A program that does not read it all is no error."""

    def __init__(self, descriptor: int, data: bytes) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._is_open = True
        self._left = memoryview(data)
        self._loop = asyncio.get_running_loop()
        self._write()
        if self._left:
            self._loop.add_writer(descriptor, self._write)

    def close(self) -> None:
        """Close it, written or not."""
        if self._is_open:
            self._is_open = False
            self._loop.remove_writer(self._descriptor)
            os.close(self._descriptor)

    def _write(self) -> None:
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
        while len(pipes) < count:
            pipes.append(os.pipe())
    except OSError:
        for pair in pipes:
            close_all(pair)
        raise
    return pipes
