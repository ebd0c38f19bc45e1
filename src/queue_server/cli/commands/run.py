"""`run`: scheduled jobs become due now."""

import click

from queue_server.cli.client import connect
from queue_server.cli.exits import Exit
from queue_server.cli.many_jobs import print_count, question
from queue_server.cli.one_by_one import change_each
from queue_server.cli.options import Format, output_option, server_option
from queue_server.cli.selection import Selection, confirm, selection_options
from queue_server.cli.terminal import say
from queue_server.client import Client
from queue_server.client.address import Address

FINAL_ONLY = ("state", "ended_after", "ended_before")
"""Filters that no scheduled job matches."""


@click.command("run")
@selection_options(without=FINAL_ONLY)
@output_option("table", "json", "ndjson", "id")
@server_option
def command(*, selection: Selection, output: Format, server: Address) -> Exit:
    """Run scheduled jobs now: those with these IDs, or all that match the filters."""
    with connect(server) as client:
        ids = selection.ids or _scheduled(client, selection)
        if selection.dry_run:
            print_count(len(ids), output)
            return Exit.OK
        if not ids:
            say("no scheduled jobs match")
            return Exit.OK
        if not (selection.ids or selection.yes):
            confirm(question("run", len(ids)))
        return change_each(ids, client.run, output)


def _scheduled(client: Client, selection: Selection) -> tuple[int, ...]:
    """The jobs that match. The API has no operation for them, so they are run one by one, the earliest first."""
    return tuple(job.id for job in client.jobs(sort="run_at", state="scheduled", **selection.filters))
