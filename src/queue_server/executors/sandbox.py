"""The sandbox that commands may be kept in: bubblewrap (bwrap(1)), with one profile.

A command sees the machine's files but can't change them, except where its table says so (`writable`, and its `cwd`).
/tmp, /var/tmp and /run are its own and empty, /dev has the harmless devices only, the server's database and keys can't
be read. It sees and signals no other process, has no shared memory with others, and when its first process ends, the
kernel ends all of them. The network is that of the machine: what a command may reach is for the firewall to say.
"""

import os
import shutil
from collections.abc import Iterator, Sequence

from queue_server.executors.guards import Guard

PROGRAM = "bwrap"
WHERE = "/usr/local/bin:/usr/bin:/bin"
OWN = (b"/tmp", b"/var/tmp", b"/run")
"""Folders that are empty in a sandbox, and writable."""

NAME_SERVICE = (b"/run/systemd/resolve", b"/run/NetworkManager", b"/run/resolvconf")
"""Where /etc/resolv.conf may point to: without them no name is found."""

_NAMESPACES = (b"--unshare-pid", b"--unshare-ipc", b"--unshare-uts", b"--unshare-cgroup-try", b"--die-with-parent")


def find_sandbox() -> bytes | None:
    """The program's path, None if it is not installed."""
    found = shutil.which(PROGRAM, path=WHERE)
    return os.fsencode(found) if found else None


def sandboxed(program: bytes, directory: bytes, guard: Guard, hidden: Sequence[bytes]) -> list[bytes]:
    """The command line before the command's own."""
    return [program, *_options(directory, guard, hidden), b"--"]


def _options(directory: bytes, guard: Guard, hidden: Sequence[bytes]) -> Iterator[bytes]:
    yield from _NAMESPACES
    yield from (b"--ro-bind", b"/", b"/", b"--dev", b"/dev", b"--proc", b"/proc")
    for folder in OWN:
        yield from (b"--tmpfs", folder)
    for folder in NAME_SERVICE:
        yield from (b"--ro-bind-try", folder, folder)
    for folder in (*guard.readable, directory):
        if folder.startswith(tuple(own + b"/" for own in OWN)):
            yield from (b"--ro-bind", folder, folder)
    for folder in guard.writable:
        yield from (b"--bind", folder, folder)
    for file in hidden:
        if os.path.exists(file):  # noqa: PTH110 (bytes)
            yield from (b"--ro-bind", b"/dev/null", file)
    yield from (b"--chdir", directory)
