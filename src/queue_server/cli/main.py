"""The root command, and how its errors become exit codes."""

import os
import sys
from collections.abc import Sequence
from pathlib import PurePath
from typing import ClassVar

import click

from queue_server import __version__
from queue_server.cli.exits import Exit, code_of
from queue_server.cli.lazy import LazyGroup, Sections
from queue_server.cli.terminal import say_error
from queue_server.domain.errors import QueueServerError

NAMES = ("queue-server", "qs")


class ClosedPipe(Exception):  # noqa: N818 (not an error: who reads us has read enough)
    """The reader of stdout is gone, as in `queue-server ls | head -1`."""


class Root(LazyGroup):
    """All commands. Those with a `--server` option are clients, the others work on this machine."""

    sections: ClassVar[Sections] = {
        "Server": {
            "serve": "Start the server.",
            "migrate": "Bring the database's schema up to date.",
            "config": "Show the settings and where each came from.",
        },
        "Jobs": {
            "add": "Add a job: a URL to request, a command to run, or many from stdin.",
            "ls": "List jobs, the newest first.",
            "show": "Show all about one job.",
            "logs": "Print the output of a job.",
            "wait": "Wait until jobs have ended.",
            "stats": "Count the jobs in each state, and the free slots.",
        },
        "More": {
            "completion": "Print the completion script for your shell.",
            "version": "Print the version.",
        },
    }

    def invoke(self, ctx: click.Context) -> object:
        """Run the command. A closed pipe is told apart here; click would make it a failure."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError as error:
            raise ClosedPipe from error
        return result


@click.command(cls=Root, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, message="queue-server %(version)s")
def root() -> None:
    """Queue Server: run HTTP requests and commands in the background.

    \b
    Start a server, give it a job, look at it:
      queue-server serve
      queue-server add https://example.com/send-mails
      queue-server show 1
    """


def run() -> None:
    """The entry point of the `queue-server` and `qs` programs."""
    sys.exit(main(sys.argv[1:], program=PurePath(sys.argv[0]).name))


def main(arguments: Sequence[str], program: str = NAMES[0]) -> int:
    """Run the command line; its exit code. No error of ours leaves a traceback."""
    _write_what_the_terminal_can_show()
    name = program if program in NAMES else NAMES[0]
    try:
        return int(root.main(list(arguments), prog_name=name, standalone_mode=False) or Exit.OK)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except QueueServerError as error:
        say_error(str(error))
        return code_of(error)
    except click.Abort:
        return Exit.INTERRUPTED
    except ClosedPipe:
        _close_stdout()
        return Exit.CLOSED_PIPE


def _write_what_the_terminal_can_show() -> None:
    """A character that stdout's encoding lacks becomes an escape instead of a UnicodeEncodeError."""
    for stream in (sys.stdout, sys.stderr):
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="backslashreplace")


def _close_stdout() -> None:
    """Send what Python still holds for stdout to nowhere, so that it does not complain when it exits."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
