"""Calls into pyreqwest that Ctrl-C ends at once."""

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import TypeVar, cast

T = TypeVar("T")


def interruptible(call: Callable[[], T]) -> T:
    """What the call returns or raises; KeyboardInterrupt as soon as it comes, and the call is left to itself.

    Only the main thread hears signals, and only while Python runs in it; so the call is made by another one. That is a
    daemon, as a call that was left must not keep the program from ending.
    """
    if threading.current_thread() is not threading.main_thread():
        return call()
    outcome: SimpleQueue[tuple[T | None, BaseException | None]] = SimpleQueue()
    threading.Thread(target=lambda: outcome.put(_outcome(call)), daemon=True).start()
    result, error = outcome.get()
    if error is not None:
        raise error
    return cast("T", result)


def _outcome(call: Callable[[], T]) -> tuple[T | None, BaseException | None]:
    try:
        return call(), None
    except BaseException as error:  # noqa: BLE001 (it is raised where the call was wanted)
        return None, error
