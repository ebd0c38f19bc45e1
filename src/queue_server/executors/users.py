"""The users whom commands run as: only root can start programs as somebody else."""

import os
import pwd
from typing import NamedTuple

from queue_server.config.settings import Settings
from queue_server.domain.errors import CannotStart, InvalidSetting


class User(NamedTuple):
    """A user, with all that a program gets of one."""

    name: str
    user: int
    group: int
    groups: list[int]
    home: str

    @property
    def identity(self) -> tuple[int, int, list[int]]:
        """As the launcher takes it."""
        return self.user, self.group, self.groups

    @property
    def variables(self) -> dict[bytes, bytes]:
        """What the user's programs find in their environment."""
        name = os.fsencode(self.name)
        return {b"HOME": os.fsencode(self.home), b"USER": name, b"LOGNAME": name}


def runs_as_root(settings: Settings) -> bool:
    """Whether a command may run as root."""
    if os.geteuid() != 0 or settings.exec == "off":
        return False
    users = [settings.exec_run_as if named.run_as is None else named.run_as for named in settings.commands.values()]
    if settings.exec == "any":
        users.append(settings.exec_run_as)
    return any(user in ("", "root") for user in users)


def find_user(name: str, setting: str) -> User | None:
    """The user of this name; None if that is who runs the server.

    InvalidSetting if there is none of this name, CannotStart if programs can't be started as another user.
    """
    try:
        entry = pwd.getpwnam(name)
    except (KeyError, ValueError):
        raise InvalidSetting(f"setting {setting}: there is no user {name!r} on this machine") from None
    if entry.pw_uid == os.geteuid():
        return None
    if os.geteuid() != 0:
        raise CannotStart(f"setting {setting}: only a server that runs as root can run commands as {name}")
    return User(name, entry.pw_uid, entry.pw_gid, os.getgrouplist(name, entry.pw_gid), entry.pw_dir)
