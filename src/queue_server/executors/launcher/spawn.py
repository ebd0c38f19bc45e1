"""Starting one program, or saying in a few words why it can't be started.

posix_spawn starts programs without copying the launcher (vfork inside) and reports exec's own error. It has no
working directory, so the launcher, which has one thread, steps into it for the moment of the start.
"""

import errno
import os
import signal
from collections.abc import Mapping, Sequence

from queue_server.executors.launcher.messages import Start
from queue_server.executors.launcher.orphans import mark

_RESET = [number for number in signal.valid_signals() if number not in (signal.SIGKILL, signal.SIGSTOP)]
"""Signals that a program starts with as usual, whatever the launcher ignores."""


def spawn(start: Start, streams: Sequence[int]) -> int | str:
    """Start the program as the leader of its own session, and give its pid; or give why it can't be started.

    `streams` become its stdin, stdout and stderr; it gets no other descriptor.
    """
    try:
        os.chdir(start.directory)
    except OSError as error:
        return _bad_directory(start.directory, error)
    try:
        return _spawn_here(start, streams)
    except OSError as error:
        return _bad_program(start.argv[0], error)
    except ValueError as error:  # NUL characters, which no program can be given
        return f"can't be passed to a program: {error}"
    finally:
        os.chdir("/")  # keep no directory busy


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
    """Where the program is: as named if the name has a slash, else the first on the environment's PATH."""
    if b"/" in name:
        return name
    for folder in environment.get(b"PATH", b"").split(b":"):
        path = os.path.join(folder, name)  # noqa: PTH118 (pathlib knows no bytes)
        if name and os.access(path, os.X_OK) and os.path.isfile(path):  # noqa: PTH113 (as above)
            return path
    raise FileNotFoundError(errno.ENOENT, "not on the PATH")


def _bad_directory(directory: bytes, error: OSError) -> str:
    name = directory.decode(errors="replace")
    match error.errno:
        case errno.ENOENT:
            return f"cwd {name} does not exist"
        case errno.ENOTDIR:
            return f"cwd {name} is not a directory"
        case _:
            return f"cwd {name}: {_words(error)}"


def _bad_program(program: bytes, error: OSError) -> str:
    name = program.decode(errors="replace")
    match error.errno:
        case errno.ENOENT if b"/" in program and os.path.exists(program):  # noqa: PTH110 (pathlib knows no bytes)
            return f"no such program: the interpreter that {name} asks for"
        case errno.ENOENT | errno.ENOTDIR:
            return f"no such program: {name}"
        case errno.EACCES:
            return f"permission denied: {name}"
        case errno.ENOEXEC:
            return f"not a program: {name} (no known format and no #! line)"
        case _:
            return f"{_words(error)}: {name}"


def _words(error: OSError) -> str:
    return os.strerror(error.errno or 0).lower()
