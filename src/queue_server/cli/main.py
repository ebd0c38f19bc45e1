"""The root command, and how its errors become exit codes."""

import errno
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import ClassVar, NoReturn

import click

from queue_server import __version__
from queue_server.cli.exits import Exit, code_of
from queue_server.cli.lazy import LazyGroup, Sections
from queue_server.cli.terminal import say_error
from queue_server.domain.errors import QueueServerError

NAMES = ("queue-server", "qs")


class ClosedPipeError(Exception):
    """The reader of stdout is gone, as in `queue-server ls | head -1`."""


class Root(LazyGroup):
    """All commands. Those with a `--server` option are clients, the others work on this machine."""

    sections: ClassVar[Sections] = {
        "Server": {
            "serve": "Start the server.",
            "migrate": "Bring the database's schema up to date, or move all into another database.",
            "import": "Take over the jobs of the first Queue Server.",
            "backup": "Copy the database while the server runs.",
            "config": "Show the settings and where each came from.",
            "token": "Make, list, rotate and revoke API tokens.",
            "secret": "Keep secrets for jobs, and sign requests.",
        },
        "Jobs": {
            "add": "Add a job: a URL to request, a command to run, or many from stdin.",
            "ls": "List jobs, the newest first; with filters.",
            "show": "Show all about one job.",
            "explain": "Say why a job is where it is.",
            "logs": "Print the output of a job; -f while it is written.",
            "wait": "Wait until jobs have ended.",
            "edit": "Change jobs that have not started.",
            "run": "Run scheduled jobs now.",
            "cancel": "Cancel jobs, by ID or by filters.",
            "retry": "Run jobs again that have ended.",
            "delete": "Delete jobs that have ended.",
        },
        "Watching": {
            "top": "Watch the server work: states, rates, running jobs, failures.",
            "events": "Print what happens to jobs as it happens.",
            "stats": "Count the jobs in each state, and the free slots.",
            "operations": "Look at the changes of many jobs, and stop them.",
            "audit": "See who has managed what.",
        },
        "More": {
            "openapi": "Print the description of the API.",
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
            raise ClosedPipeError from error
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
    """  # noqa: D301 (click's mark, an escape: keep these lines)


def run() -> None:
    """The entry point of the `queue-server` and `qs` programs."""
    _leave(main(sys.argv[1:], program=Path(sys.argv[0]).name))


def main(arguments: Sequence[str], program: str = NAMES[0]) -> int:
    """Run the command line; its exit code. No error of ours leaves a traceback."""
    _prepare_output()
    name = program if program in NAMES else NAMES[0]
    try:
        return int(root.main(list(arguments), prog_name=name, standalone_mode=False) or Exit.OK)
    except (click.ClickException, click.Abort, QueueServerError, ClosedPipeError, OSError) as error:
        return _tell(error)


def _tell(error: Exception) -> int:
    """Tell the user about an error that is no bug, and return its exit code; raise one that is."""
    match error:
        case click.ClickException():
            error.show()
            return error.exit_code
        case click.Abort():
            return Exit.INTERRUPTED
        case ClosedPipeError():
            return Exit.CLOSED_PIPE
        case QueueServerError():
            say_error(str(error))
            return code_of(error)
        case OSError(errno=errno.ENOSPC):
            say_error("no space is left where the output goes")
            return Exit.FAILED
        case _:
            raise error


def _prepare_output() -> None:
    """Give a closed stream (`>&-`) a place to go; write what a stream's encoding lacks as an escape."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w"))  # noqa: SIM115 (open to the end)
        if reconfigure := getattr(getattr(sys, name), "reconfigure", None):
            reconfigure(errors="backslashreplace")


def _leave(code: int) -> NoReturn:
    """End the process without Python's finalization, in which the threads of pyreqwest sometimes abort it.

    Measured with pyreqwest 0.15.1 and Python 3.11: 6 of 150 runs of `add -` ended with "Fatal Python error:
    PyGILState_Release" after all their work was done.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):  # nobody reads it any more
            stream.flush()
    os._exit(code)
