"""What the launcher makes of itself, and with that of every program that it starts."""

import ctypes
import os
import resource

UMASK = 0o022
LEAST_FILES = 64
"""Descriptors that the launcher needs itself, amply."""

_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38


def harden(files: int) -> None:
    """Become the parent of orphans; no program gains rights (setuid), dumps core or opens more than so many files.

    The last only if `files` is enough for the launcher as well.
    """
    prctl = ctypes.CDLL(None).prctl
    prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    os.umask(UMASK)
    limit(resource.RLIMIT_CORE, 0)
    if files >= LEAST_FILES:
        limit(resource.RLIMIT_NOFILE, files)


def hide_from_commands() -> None:
    """Let other processes of our user neither read our environment and memory nor trace us. Only root still can.

    The server calls this for itself: commands may run as its user, and its environment may hold tokens.
    """
    ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def limit(kind: int, value: int) -> None:
    """Set a limit of this process, as far as the system's own for it allows."""
    hard = resource.getrlimit(kind)[1]
    if hard != resource.RLIM_INFINITY and value > hard and os.geteuid() != 0:
        value = hard
    resource.setrlimit(kind, (value, value))


def is_limited(kind: int, value: int) -> bool:
    """Whether this process has the limit already."""
    return resource.getrlimit(kind) == (value, value)
