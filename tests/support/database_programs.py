"""Database servers of a test run's own, from the programs that are installed: what makes one, and what runs it."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

Command = Sequence[str | Path]


class Recipe(NamedTuple):
    """How a kind of server is made in a folder that is `user`'s, and run on a port of 127.0.0.1."""

    user: int
    make: Callable[[Path], Command]
    serve: Callable[[Path, int], Command]


def postgres() -> Recipe | None:
    """PostgreSQL, if it is installed. It refuses to run as root: another user does then."""
    folders = [*map(Path, os.get_exec_path()), *sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    found = next(
        (folder for folder in folders if all((folder / name).exists() for name in ("initdb", "postgres"))), None
    )
    if found is None:
        return None
    return Recipe(
        _other_user() if os.getuid() == 0 else os.getuid(),
        lambda data: (
            *(found / "initdb", "--pgdata", data, "--username", "postgres", "--auth", "trust"),
            *("--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync"),
        ),
        lambda data, port: (
            *(found / "postgres", "-D", data, "-p", str(port), "-h", "127.0.0.1"),
            *("-k", data, "-c", "max_connections=300"),
        ),
    )


def mariadb() -> Recipe | None:
    """MariaDB, if it is installed."""
    make, serve = _program("mariadb-install-db"), _program("mariadbd")
    if make is None or serve is None:
        return None
    user = f"--user={pwd.getpwuid(os.getuid()).pw_name}"
    return Recipe(
        os.getuid(),
        lambda data: (make, "--no-defaults", user, f"--datadir={data}", "--auth-root-authentication-method=normal"),
        lambda data, port: (
            *(serve, "--no-defaults", user, f"--datadir={data}", "--bind-address=127.0.0.1", f"--port={port}"),
            *(f"--socket={data}/socket", f"--pid-file={data}/pid", "--max-connections=300"),
        ),
    )


def make(recipe: Recipe, data: Path) -> None:
    """Make a server's files in the folder `data`, which is made, too."""
    data.mkdir(mode=0o700)
    os.chown(data, recipe.user, -1)
    groups = [] if os.getuid() == 0 else None
    done = subprocess.run(
        [*map(str, recipe.make(data))], user=recipe.user, extra_groups=groups, cwd="/", capture_output=True, check=False
    )
    assert done.returncode == 0, (done.stdout + done.stderr).decode()


def _program(name: str) -> str | None:
    return shutil.which(name, path=os.pathsep.join([*os.get_exec_path(), "/usr/sbin", "/usr/local/sbin"]))


def _other_user() -> int:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_uid
        except KeyError:
            continue
    return 65534
