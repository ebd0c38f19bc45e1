"""`cancel`: jobs end where they are."""

import click

from queue_server.cli.client import connect
from queue_server.cli.exits import Exit
from queue_server.cli.many_jobs import change_many
from queue_server.cli.one_by_one import change_each
from queue_server.cli.options import DURATION, Format, output_option, server_option
from queue_server.cli.selection import Selection, selection_options
from queue_server.client.address import Address


@click.command("cancel")
@selection_options()
@click.option("--reason", metavar="TEXT", help="Why; it is kept with the job.")
@click.option("--wait", type=DURATION, help="Wait so long for the end of a running job, up to a minute.")
@output_option("table", "json", "ndjson")
@server_option
def command(*, selection: Selection, reason: str | None, wait: float | None, output: Format, server: Address) -> Exit:
    """Cancel jobs: those with these IDs, or all that match the filters.

    A job that waits is never run; one that runs is interrupted. Jobs that have ended stay as they are.
    """
    with connect(server) as client:
        if selection.ids:
            return change_each(selection.ids, lambda job_id: client.cancel(job_id, reason=reason, wait=wait), output)
        return change_many(
            client,
            selection,
            "cancel",
            lambda dry_run: client.cancel_jobs(
                reason=reason, dry_run=dry_run, all_jobs=not selection.filters, **selection.filters
            ),
            output,
        )
