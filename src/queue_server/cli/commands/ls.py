"""`ls`: the jobs, the newest first."""

import sys

import click

from queue_server.cli.client import Api, Server
from queue_server.cli.job_columns import job_shape
from queue_server.cli.options import Format, output_option, server_option
from queue_server.cli.printers import printer
from queue_server.cli.terminal import is_terminal, say
from queue_server.clock import SystemClock
from queue_server.domain.state import State

DEFAULT_LIMIT = 50


@click.command("ls")
@click.option("--state", type=click.Choice([state.value for state in State]), help="Only jobs in this state.")
@click.option("--context", metavar="TEXT", help="Only jobs with this context.")
@click.option("--limit", type=click.IntRange(min=1), default=DEFAULT_LIMIT, show_default=True, help="How many.")
@click.option("--all", "every", is_flag=True, help="All of them.")
@output_option("table", "json", "ndjson", "id")
@server_option
def command(*, state: str | None, context: str | None, limit: int, every: bool, output: Format, server: Server) -> None:
    """List jobs, the newest first."""
    count = 0
    with Api(server) as api:
        out = printer(output, job_shape(SystemClock()))
        for job in api.jobs(None if every else limit, state=state, context=context):
            out.add(bytes(job))
            count += 1
        out.close()
    if output == "table" and is_terminal(sys.stderr):
        _tell_what_is_missing(count, None if every else limit)


def _tell_what_is_missing(count: int, limit: int | None) -> None:
    if count == 0:
        say("no jobs match")
    elif count == limit:
        say(f"\nthese are the newest {count}; --limit N or --all lists those before")
