"""Starting one program, or saying in a few words why it can't be started.

posix_spawn starts a program without copying the launcher (by vfork) and reports exec's own error. It knows no
working directory, so the launcher, which has one thread, steps into it for the moment of the start.
"""

import errno
import os
import signal
from collections.abc import Mapping, Sequence

from queue_server.executors.launcher.marks import mark
from queue_server.executors.launcher.messages import Start

_RESET = [number for number in signal.valid_signals() if number not in (signal.SIGKILL, signal.SIGSTOP)]
"""Every signal means to the program what it usually means, whatever the launcher ignores."""


def spawn(start: Start, streams: Sequence[int]) -> int | str:
    """Start the program as the leader of its own session, and give its pid; or give why it can't be started.

    `streams` become its stdin, stdout and stderr; it gets no other descriptor.
    """
    try:
        os.chdir(start.directory)
    except OSError as error:
        return _why_not_directory(_shown(start.directory), error)
    try:
        return _spawn_here(start, streams)
    except OSError as error:
        return _why_not_program(_shown(start.argv[0]), error)
    except ValueError as error:  # a NUL character
        return f"can't be given to a program: {error}"
    finally:
        os.chdir("/")  # keep no file system busy


def _spawn_here(start: Start, streams: Sequence[int]) -> int:
    return os.posix_spawn(
        _find(start.argv[0], start.environment),
        start.argv,
        start.environment | mark(os.getpid(), start.run),
        file_actions=[(os.POSIX_SPAWN_DUP2, stream, number) for number, stream in enumerate(streams)],
        setsid=True,
        setsigmask=(),
        setsigdef=_RESET,
    )


def _find(name: bytes, environment: Mapping[bytes, bytes]) -> bytes:
    """The program as it is named if the name has a slash, else the first of that name on its PATH."""
    if b"/" in name:
        return name
    for folder in environment.get(b"PATH", b"").split(b":"):
        path = os.path.join(folder, name)  # noqa: PTH118 (pathlib knows no bytes)
        if name and os.access(path, os.X_OK) and os.path.isfile(path):  # noqa: PTH113 (as above)
            return path
    raise FileNotFoundError(errno.ENOENT, "not on the PATH")


def _why_not_directory(directory: str, error: OSError) -> str:
    match error.errno:
        case errno.ENOENT:
            return f"cwd {directory} does not exist"
        case errno.ENOTDIR:
            return f"cwd {directory} is not a directory"
        case _:
            return f"{_words(error)}: cwd {directory}"


def _why_not_program(program: str, error: OSError) -> str:
    match error.errno:
        case errno.ENOENT if "/" in program and os.path.exists(program):  # noqa: PTH110 (pathlib loads slowly)
            return f"no such program: the interpreter that {program} names"
        case errno.ENOENT | errno.ENOTDIR:
            return f"no such program: {program or 'its name is empty'}"
        case errno.ENOEXEC:
            return f"not a program: {program} is of no known format and has no #! line"
        case _:
            return f"{_words(error)}: {program}"


def _words(error: OSError) -> str:
    return os.strerror(error.errno or 0).lower()


def _shown(text: bytes) -> str:
    return text.decode(errors="replace")
