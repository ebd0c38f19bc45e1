"""Lines from a file that may be slow, such as a pipe, without holding up the event loop."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import BinaryIO

LINES_AHEAD = 256


async def lines_of(file: BinaryIO) -> AsyncIterator[bytes]:
    """The lines, each as soon as it is there; at most LINES_AHEAD are read before they are wanted.

    A daemon thread reads, not a worker of the event loop: a read that never ends must not keep the program
    alive after Ctrl-C.
    """
    loop = asyncio.get_running_loop()
    arrived: asyncio.Queue[bytes | OSError | None] = asyncio.Queue()
    room = threading.Semaphore(LINES_AHEAD)

    def deliver(item: bytes | OSError | None) -> None:
        room.acquire()
        loop.call_soon_threadsafe(arrived.put_nowait, item)

    threading.Thread(target=_read, args=(file, deliver), daemon=True).start()
    while (item := await arrived.get()) is not None:
        room.release()
        if isinstance(item, OSError):
            raise item
        yield item


def _read(file: BinaryIO, deliver: Callable[[bytes | OSError | None], None]) -> None:
    try:
        for line in file:
            deliver(line)
        deliver(None)
    except OSError as error:
        deliver(error)
    except RuntimeError:
        return  # the event loop has ended: nobody wants more
