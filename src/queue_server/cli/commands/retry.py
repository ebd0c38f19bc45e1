"""`retry`: jobs that have ended run again."""

from typing import Any

import click

from queue_server.cli.client import connect
from queue_server.cli.exits import Exit
from queue_server.cli.many_jobs import change_many
from queue_server.cli.one_by_one import change_each
from queue_server.cli.options import Format, output_option, server_option
from queue_server.cli.patches import PATCH, PATCH_HELP
from queue_server.cli.selection import Selection, selection_options
from queue_server.client.address import Address


@click.command("retry")
@selection_options()
@click.option("--set", "changes", type=PATCH, help=PATCH_HELP)
@output_option("table", "json", "ndjson")
@server_option
def command(*, selection: Selection, changes: dict[str, Any] | None, output: Format, server: Address) -> Exit:
    """Run jobs again that have ended: those with these IDs, or all that match the filters.

    They get all their attempts anew. With --set they are changed before.
    """
    with connect(server) as client:
        if selection.ids:
            return change_each(selection.ids, lambda job_id: client.retry(job_id, changes), output)
        return change_many(
            client,
            selection,
            "retry",
            lambda dry_run: client.retry_jobs(
                changes=changes, dry_run=dry_run, all_jobs=not selection.filters, **selection.filters
            ),
            output,
        )
