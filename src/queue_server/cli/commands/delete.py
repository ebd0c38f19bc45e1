"""`delete`: jobs that have ended are forgotten."""

import click

from queue_server.cli.client import connect
from queue_server.cli.exits import Exit
from queue_server.cli.many_jobs import change_many
from queue_server.cli.one_by_one import change_each
from queue_server.cli.options import Format, output_option, server_option
from queue_server.cli.selection import Selection, selection_options
from queue_server.client.address import Address


@click.command("delete")
@selection_options()
@output_option("table", "json", "ndjson")
@server_option
def command(*, selection: Selection, output: Format, server: Address) -> Exit:
    """Delete jobs that have ended: those with these IDs, or all that match the filters."""
    with connect(server) as client:
        if selection.ids:
            return change_each(selection.ids, client.delete, output)
        return change_many(
            client,
            selection,
            "delete",
            lambda dry_run: client.delete_jobs(dry_run=dry_run, all_jobs=not selection.filters, **selection.filters),
            output,
        )
