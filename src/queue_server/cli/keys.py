"""Single keys from a terminal, without Enter."""

import os
import select
import sys
import termios
import tty
from collections.abc import Callable, Generator
from contextlib import contextmanager

from queue_server.cli.terminal import is_terminal

QUIT = "q"
"""The key that ends a program, also when nobody can press it any more."""

WaitForKey = Callable[[float], str]


@contextmanager
def single_keys() -> Generator[WaitForKey]:
    """A function that waits so many seconds for a key, and returns it or nothing."""
    if not is_terminal(sys.stdin):
        yield _pause
        return
    descriptor = sys.stdin.fileno()
    settings = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor)
    try:
        yield lambda seconds: _key(descriptor, seconds)
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, settings)


def _key(descriptor: int, seconds: float) -> str:
    ready, _, _ = select.select([descriptor], [], [], seconds)
    if not ready:
        return ""
    try:
        return os.read(descriptor, 1).decode("latin-1") or QUIT
    except OSError:  # the terminal is gone
        return QUIT


def _pause(seconds: float) -> str:
    select.select([], [], [], seconds)
    return ""
