"""A click group that imports a command only when it is run, and lists its commands in sections."""

import difflib
from collections.abc import Mapping
from importlib import import_module
from keyword import iskeyword
from typing import ClassVar

import click

COMMANDS_PACKAGE = "queue_server.cli.commands"
Sections = Mapping[str, Mapping[str, str]]


class LazyGroup(click.Group):
    """`sections` maps a heading to its commands, and a command to the line that the group's help shows.

    A command called `config` is the object `command` of the module `queue_server.cli.commands.config`; `import`, which
    is a word of Python, has the module `import_`.
    """

    sections: ClassVar[Sections]

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's signature)
        """All names, in the order of the help."""
        return [name for commands in self.sections.values() for name in commands]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now."""
        if cmd_name not in self.list_commands(ctx):
            return None
        module = f"{cmd_name}_" if iskeyword(cmd_name) else cmd_name
        return import_module(f"{COMMANDS_PACKAGE}.{module}").command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that `args` start with, or a usage error that suggests one."""
        name = args[0]
        if name.startswith("-") or ctx.resilient_parsing or name in self.list_commands(ctx):
            return super().resolve_command(ctx, args)
        close = difflib.get_close_matches(name, self.list_commands(ctx), n=1, cutoff=0.7)
        hint = f" Did you mean {close[0]}?" if close else ""
        raise click.UsageError(f"There is no command {name!r}.{hint}", ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The sections, without importing a command."""
        width = max(map(len, self.list_commands(ctx)))
        for heading, commands in self.sections.items():
            with formatter.section(heading):
                formatter.write_dl([(name.ljust(width), line) for name, line in commands.items()])
