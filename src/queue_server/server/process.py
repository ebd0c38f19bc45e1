"""What the whole process needs before it serves: descriptors, threads, a quiet garbage collector."""

import ctypes
import gc
import os
import resource
import signal

from queue_server.config.settings import Settings
from queue_server.executors.launcher.hardening import hide_from_commands

_PR_SET_PDEATHSIG = 1

NAME_LOOKUPS = 32
"""Host names that can be looked up at once; libuv's 4 would let a few dead name servers hold up all other targets."""

GARBAGE_THRESHOLD = 10_000
"""New objects after which the youngest are looked through; Python's 700 is one look for every few requests."""


def prepare_process(settings: Settings) -> None:
    """Before anything else of the server."""
    _raise_file_limit()
    if settings.exec != "off":
        hide_from_commands()
    os.environ.setdefault("UV_THREADPOOL_SIZE", str(NAME_LOOKUPS))


def end_with_parent(parent: int) -> None:
    """Stop in good order once the process that has just forked this one is gone, however it went."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def spare_garbage_collector() -> None:
    """Take what the start made, which stays, out of its sight, and let it look less often: a request makes no cycles.

    Measured on 2026-11-24: it cost 4 % of the time of a durable accept.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD, *gc.get_threshold()[1:])


def _raise_file_limit() -> None:
    """Each running job and each client needs a descriptor; the usual soft limit of 1024 is too small."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
