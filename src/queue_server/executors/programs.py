"""From a job's command to the program that the launcher starts: its arguments, its environment, what holds it."""

import os
import resource
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

import msgspec

from queue_server.config.settings import Settings
from queue_server.domain.command import ExecCommand
from queue_server.domain.job import Job
from queue_server.domain.named import NO_ARGUMENTS, NamedCommand, call_problems, program_of
from queue_server.executors.guards import NO_WISH, Guard, Wish, guard_for, wish_for, wish_of
from queue_server.executors.launcher.client import Program
from queue_server.executors.sandbox import sandboxed

CLEAN_PATH = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
INHERITED = ("HOME", "USER", "LOGNAME", "TZ", "LANG")
"""What a command sees of the server's own environment, besides LC_…; settings, tokens and passwords stay out."""


class CommandRules(msgspec.Struct, frozen=True, kw_only=True):
    """Which commands run, and how. `inherit` names more variables of the server's environment that they may see.

    `hidden` are files that commands in a sandbox can't read.
    """

    commands: Mapping[str, NamedCommand] = {}
    is_only_named: bool = False
    wish: Wish = NO_WISH
    hidden: tuple[Path, ...] = ()
    inherit: tuple[str, ...] = ()


ANY_COMMAND = CommandRules()


def rules_of(settings: Settings, hidden: Sequence[Path]) -> CommandRules:
    """What the settings say."""
    return CommandRules(
        commands=settings.commands,
        is_only_named=settings.exec == "named",
        wish=wish_of(settings),
        hidden=tuple(hidden),
    )


class Programs:
    """Makes programs of commands. InvalidSetting or CannotStart if a user of the settings can't be taken on."""

    def __init__(self, rules: CommandRules) -> None:
        self._rules = rules
        self._general = guard_for(rules.wish)
        self._guards = {name: guard_for(wish_for(name, named, rules.wish)) for name, named in rules.commands.items()}
        self._hidden = [os.fsencode(path) for path in rules.hidden]
        self._environment = _clean_environment(rules.inherit)
        self._directory = _working_directory()
        self.sandbox: bytes | None = None

    def guards(self) -> Iterator[Guard]:
        """All that may be used."""
        if not self._rules.is_only_named:
            yield self._general
        yield from self._guards.values()

    @property
    def files(self) -> int:
        """How many files every program may have open; 0 if that differs."""
        limits = {dict(guard.limits).get(resource.RLIMIT_NOFILE, 0) for guard in self.guards()}
        return limits.pop() if len(limits) == 1 else 0

    def named(self, command: ExecCommand) -> NamedCommand | None:
        """The command of the settings that is meant, if one is and it is there."""
        return None if command.name is None else self._rules.commands.get(command.name)

    def make(self, job: Job, command: ExecCommand) -> Program | str:
        """The program, or why there is none. The placeholders of the command are filled."""
        if command.name is not None:
            return self._make_named(job, command.name, command)
        if self._rules.is_only_named:
            return "this server runs only the commands that its settings file names (setting exec is named)"
        argv = ["/bin/sh", "-c", command.cmd] if command.cmd is not None else command.args or []
        return self._program(job, argv, command, self._general)

    def probe(self, guard: Guard, argv: list[bytes]) -> Program:
        """A program that shows whether the guard works here."""
        return self._held(guard, argv, self._environment, b"/")

    def _make_named(self, job: Job, name: str, command: ExecCommand) -> Program | str:
        named = self._rules.commands.get(name)
        if named is None:
            return f"the settings file names no command {name} any more ([commands.{name}])"
        if problems := [*call_problems(name, named, command, "")]:
            return "; ".join(f"{problem.path[1:].replace('/', ' ')} {problem.message}" for problem in problems)
        argv = program_of(named, command.arguments or NO_ARGUMENTS)
        own = msgspec.structs.replace(command, cwd=command.cwd or named.cwd, env=named.env | (command.env or {}))
        return self._program(job, argv, own, self._guards[name])

    def _program(self, job: Job, argv: Sequence[str], command: ExecCommand, guard: Guard) -> Program:
        variables = cast("Mapping[str, str]", command.env or {})  # secrets are opened by now
        environment = self._environment | (guard.user.variables if guard.user else {}) | _about(job)
        directory = encoded(command.cwd) if command.cwd else self._directory_for(guard)
        return self._held(guard, [encoded(text) for text in argv], environment | _encoded(variables), directory)

    def _held(self, guard: Guard, argv: list[bytes], environment: dict[bytes, bytes], directory: bytes) -> Program:
        is_sandboxed = guard.sandbox != "none" and self.sandbox is not None
        wrapper = sandboxed(self.sandbox or b"", directory, guard, self._hidden) if is_sandboxed else []
        return Program(argv, environment, directory, wrapper, guard.user and guard.user.identity, guard.limits)

    def _directory_for(self, guard: Guard) -> bytes:
        """For who names none. The one that the server was started in may be closed to another user."""
        if guard.user is None:
            return self._directory
        home = os.fsencode(guard.user.home)
        return home if os.path.isdir(home) else b"/"  # noqa: PTH112 (bytes)


def encoded(text: str) -> bytes:
    """As a program gets it."""
    return text.encode(errors="surrogatepass")


def _about(job: Job) -> dict[bytes, bytes]:
    """What a command may want to know of its job, the claim as its fence."""
    return {
        b"QUEUE_JOB_ID": b"%d" % job.id,
        b"QUEUE_ATTEMPT": b"%d" % job.attempt,
        b"QUEUE_CLAIM": b"%d" % job.claim_seq,
        b"QUEUE_CONTEXT": encoded(job.context),
    }


def _clean_environment(more: Sequence[str]) -> dict[bytes, bytes]:
    home = os.path.expanduser(b"~")  # noqa: PTH111 (Path raises for a user without a home, and knows no bytes)
    names = (*INHERITED, *more, *(name for name in os.environ if name.startswith("LC_")))
    given = {os.fsencode(name): os.fsencode(os.environ[name]) for name in names if name in os.environ}
    return {b"PATH": CLEAN_PATH, b"HOME": home, b"LANG": b"C.UTF-8"} | given


def _working_directory() -> bytes:
    try:
        return os.getcwdb()  # noqa: PTH109 (pathlib knows no bytes)
    except FileNotFoundError:  # it was removed while the server stood in it
        return b"/"


def _encoded(variables: Mapping[str, str]) -> dict[bytes, bytes]:
    return {encoded(name): encoded(value) for name, value in variables.items()}
