"""Whether paths that jobs give stay in their folders once symbolic links are followed. This looks at the disk.

It is a check at the start of the command. Who can change links in the folder at that moment can still redirect it, so
folders for paths of jobs should be writable only for those who are trusted, or the command kept in a sandbox.
"""

import os
from collections.abc import Iterator

from queue_server.domain.command import ExecCommand
from queue_server.domain.named import NO_ARGUMENTS, NamedCommand, PathParameter, is_within


def strayed(named: NamedCommand, command: ExecCommand) -> str | None:
    """What is wrong with the first path that leads out of its folder; None if none does."""
    for what, folder, path in _paths(named, command):
        if not is_within(os.path.realpath(folder), os.path.realpath(path)):
            return f"{what}: {path} leads out of {folder}"
    return None


def has_paths(named: NamedCommand) -> bool:
    """Whether `strayed` has anything to look at."""
    return named.job_cwd is not None or any(isinstance(one, PathParameter) for one in named.parameters.values())


def _paths(named: NamedCommand, command: ExecCommand) -> Iterator[tuple[str, str, str]]:
    given = command.arguments or NO_ARGUMENTS
    for name, parameter in named.parameters.items():
        if isinstance(parameter, PathParameter):
            yield f"argument {name}", parameter.within, str(given.get(name, parameter.default))
    if command.cwd is not None and named.job_cwd is not None:
        yield "cwd", named.job_cwd, command.cwd
