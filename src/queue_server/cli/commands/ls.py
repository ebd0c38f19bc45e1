"""`ls`: the jobs, the newest first."""

import sys
from typing import Any

import click

from queue_server.cli.client import connect
from queue_server.cli.filter_options import filter_options
from queue_server.cli.job_columns import job_shape
from queue_server.cli.options import Format, output_option, server_option
from queue_server.cli.printers import printer
from queue_server.cli.terminal import is_terminal, say
from queue_server.client.address import Address
from queue_server.clock import SystemClock

DEFAULT_LIMIT = 50
SORTS = ("-id", "id", "-ended_at", "ended_at", "run_at")


@click.command("ls")
@filter_options()
@click.option("--sort", type=click.Choice(SORTS), help="Order; the newest first by default. - is downwards.")
@click.option("--limit", type=click.IntRange(min=1), default=DEFAULT_LIMIT, show_default=True, help="How many.")
@click.option("--all", "every", is_flag=True, help="All of them.")
@output_option("table", "json", "ndjson", "id")
@server_option
def command(
    *, filters: dict[str, Any], sort: str | None, limit: int, every: bool, output: Format, server: Address
) -> None:
    """List jobs, the newest first; with filters, those that match all of them."""
    count = 0
    most = None if every else limit
    with connect(server) as client:
        out = printer(output, job_shape(SystemClock()))
        for job in client.jobs(sort=sort, limit=most, **filters):
            out.add(job.raw)
            count += 1
        out.close()
    if output == "table" and is_terminal(sys.stderr):
        _tell_what_is_missing(count, most)


def _tell_what_is_missing(count: int, limit: int | None) -> None:
    if count == 0:
        say("no jobs match")
    elif count == limit:
        say(f"\nthese are the first {count}; --limit N or --all lists more")
