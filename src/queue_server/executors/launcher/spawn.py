"""Starting one program, or saying in a few words why it can't be started.

posix_spawn starts a program without copying the launcher (by vfork) and reports exec's own error. It knows no
working directory, so the launcher, which has one thread, steps into it for the moment of the start. It knows no limits
and no users either: a program that gets others than the launcher has is started by fork, which takes longer.
"""

import errno
import os
import resource
import signal
from collections.abc import Mapping, Sequence
from typing import NoReturn

from queue_server.executors.launcher.hardening import is_limited, limit
from queue_server.executors.launcher.marks import mark, set_limit_mark
from queue_server.executors.launcher.messages import Start

_RESET = [number for number in signal.valid_signals() if number not in (signal.SIGKILL, signal.SIGSTOP)]
"""Every signal means to the program what it usually means, whatever the launcher ignores."""

WORDS_LIMIT = 4096
"""Bytes of a reason why: less than what a pipe takes at once (PIPE_BUF)."""


class _CannotStart(Exception):
    """The program can't be started; the message says why."""


def spawn(start: Start, streams: Sequence[int]) -> int | str:
    """Start the program as the leader of its own session, and give its pid; or give why it can't be started.

    `streams` become its stdin, stdout and stderr; it gets no other descriptor.
    """
    if start.identity is None and all(is_limited(kind, value) for kind, value in start.limits):
        return _spawn(start, streams)
    return _fork(start, streams)


def _spawn(start: Start, streams: Sequence[int]) -> int | str:
    set_limit_mark(os.getpid(), start.run)
    try:
        _enter(start.directory)
        return _from_here(start, streams)
    except _CannotStart as error:
        return str(error)
    finally:
        os.chdir("/")  # keep no file system busy


def _from_here(start: Start, streams: Sequence[int]) -> int:
    program, argv = _command_line(start)
    try:
        return os.posix_spawn(
            program,
            argv,
            start.environment | mark(os.getpid(), start.run),
            file_actions=[(os.POSIX_SPAWN_DUP2, stream, number) for number, stream in enumerate(streams)],
            setsid=True,
            setsigmask=(),
            setsigdef=_RESET,
        )
    except (OSError, ValueError) as error:
        raise _CannotStart(_why_not(start.argv[0], error)) from error


def _fork(start: Start, streams: Sequence[int]) -> int | str:
    launcher = os.getpid()
    readable, writable = os.pipe()
    try:
        pid = os.fork()
    except OSError as error:
        os.close(writable)
        os.close(readable)
        return f"{_words(error)}: the launcher can't fork"
    if pid == 0:
        _become(start, streams, launcher, writable)
    os.close(writable)
    with os.fdopen(readable, "rb") as end:
        why = end.read()  # nothing once the program has started, which closes the other end
    if not why:
        return pid
    os.waitpid(pid, 0)
    return why.decode(errors="replace")


def _become(start: Start, streams: Sequence[int], launcher: int, told: int) -> NoReturn:
    """In the new process: become the program, or tell why not."""
    try:
        _prepare(start, streams, launcher)
        program, argv = _command_line(start)
        environment = start.environment | mark(launcher, start.run)
        for kind, value in start.limits:  # the last thing to do: they hold for us, too
            limit(kind, value)
        os.execve(program, argv, environment)  # noqa: S606 (there is no shell)
    except _CannotStart as error:
        _tell(told, str(error))
    except (OSError, ValueError) as error:
        _tell(told, _why_not(start.argv[0], error))
    except BaseException as error:  # noqa: BLE001 (whatever it is, this process must not go on as a second launcher)
        _tell(told, f"can't be started: {error!r}")
    finally:
        os._exit(127)


def _tell(told: int, why: str) -> None:
    os.write(told, why.encode(errors="replace")[:WORDS_LIMIT])


def _prepare(start: Start, streams: Sequence[int], launcher: int) -> None:
    os.setsid()
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    for number in (one for one in _RESET if signal.getsignal(one) is not signal.SIG_DFL):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    set_limit_mark(launcher, start.run)
    for kind, value in start.limits:
        if kind != resource.RLIMIT_AS:
            limit(kind, value)  # while we may still raise them
    if start.identity is not None:
        user, group, groups = start.identity
        os.setgroups(groups)
        os.setresgid(group, group, group)
        os.setresuid(user, user, user)
    _enter(start.directory)


def _enter(directory: bytes) -> None:
    try:
        os.chdir(directory)
    except OSError as error:
        raise _CannotStart(_why_not_directory(_shown(directory), error)) from error
    except ValueError as error:  # a NUL character
        raise _CannotStart(f"can't be given to a program: {error}") from error


def _command_line(start: Start) -> tuple[bytes, list[bytes]]:
    """The program and its argv. In a sandbox that is the sandbox's, which is told the program that was found."""
    try:
        program = _find(start.argv[0], start.environment)
    except (OSError, ValueError) as error:
        raise _CannotStart(_why_not(start.argv[0], error)) from error
    if not start.wrapper:
        return program, start.argv
    return start.wrapper[0], [*start.wrapper, program, *start.argv[1:]]


def _find(name: bytes, environment: Mapping[bytes, bytes]) -> bytes:
    """The program as it is named if the name has a slash, else the first of that name on its PATH."""
    if b"/" in name:
        return name
    for folder in environment.get(b"PATH", b"").split(b":"):
        path = os.path.join(folder, name)  # noqa: PTH118 (pathlib knows no bytes)
        if name and os.access(path, os.X_OK) and os.path.isfile(path):  # noqa: PTH113 (as above)
            return path
    raise FileNotFoundError(errno.ENOENT, "not on the PATH")


def _why_not(program: bytes, error: OSError | ValueError) -> str:
    if isinstance(error, OSError):
        return _why_not_program(_shown(program), error)
    return f"can't be given to a program: {error}"  # a NUL character


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
