"""What holds a command: the user it runs as, its limits, its sandbox. The settings say, or a named one's table."""

import math
import os
import resource
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from queue_server.config.settings import Settings
from queue_server.domain.command import Sandbox
from queue_server.domain.named import NamedCommand, PathParameter
from queue_server.executors.users import User, find_user


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for. Empty and 0 are no user, no limit."""

    run_as: str = ""
    setting: str = "exec_run_as"
    sandbox: Sandbox = "none"
    memory: int = 0
    cpu: float = 0
    files: int = 0
    processes: int = 0
    file_size: int = 0
    writable: tuple[str, ...] = ()
    readable: tuple[str, ...] = ()


class Guard(NamedTuple):
    """What is done about it."""

    user: User | None
    limits: list[tuple[int, int]]
    sandbox: Sandbox
    writable: tuple[bytes, ...]
    readable: tuple[bytes, ...]


NO_WISH = Wish()


def wish_of(settings: Settings) -> Wish:
    """What the settings ask for every command."""
    return Wish(
        run_as=settings.exec_run_as,
        sandbox=settings.exec_sandbox,
        memory=settings.exec_memory,
        cpu=settings.exec_cpu,
        files=settings.exec_files,
        processes=settings.exec_processes,
        file_size=settings.exec_file_size,
    )


def wish_for(name: str, named: NamedCommand, general: Wish) -> Wish:
    """What its table asks for a named command; what that leaves open is as for all."""
    own = {
        member: value
        for member in ("run_as", "sandbox", "memory", "cpu", "files", "processes", "file_size")
        if (value := getattr(named, member)) is not None
    }
    if "run_as" in own:
        own["setting"] = f"commands.{name}.run_as"
    writable = (*named.writable, *([named.cwd] if named.cwd else []))
    return msgspec.structs.replace(general, **own, writable=writable, readable=_given_folders(named))


def _given_folders(named: NamedCommand) -> tuple[str, ...]:
    """Where the paths are that jobs give."""
    folders = [one.within for one in named.parameters.values() if isinstance(one, PathParameter)]
    return (*folders, *([named.job_cwd] if named.job_cwd else []))


def guard_for(wish: Wish) -> Guard:
    """InvalidSetting or CannotStart if the user does not exist or can't be taken on."""
    user = find_user(wish.run_as, wish.setting) if wish.run_as else None
    return Guard(user, _limits(wish), wish.sandbox, _bytes(wish.writable), _bytes(wish.readable))


def _bytes(folders: tuple[str, ...]) -> tuple[bytes, ...]:
    return tuple(os.fsencode(folder) for folder in folders)


def _limits(wish: Wish) -> list[tuple[int, int]]:
    values: Mapping[int, int] = {
        resource.RLIMIT_CPU: math.ceil(wish.cpu),
        resource.RLIMIT_NOFILE: wish.files,
        resource.RLIMIT_NPROC: wish.processes,
        resource.RLIMIT_FSIZE: wish.file_size,
        resource.RLIMIT_AS: wish.memory,
    }
    return [(kind, value) for kind, value in values.items() if value]
