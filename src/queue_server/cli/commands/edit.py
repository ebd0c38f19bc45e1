"""`edit`: a job that waits is changed."""

from typing import Any

import click

from queue_server.cli.client import connect
from queue_server.cli.exits import Exit
from queue_server.cli.job_options import deadline, job_options
from queue_server.cli.one_by_one import change_each
from queue_server.cli.options import JOB_ID, Format, output_option, server_option
from queue_server.cli.patches import PATCH, PATCH_HELP
from queue_server.client.address import Address


@click.command("edit")
@click.argument("job_ids", metavar="ID...", type=JOB_ID, nargs=-1, required=True)
@click.option("--set", "changes", type=PATCH, help=PATCH_HELP)
@job_options
@output_option("table", "json", "ndjson", "id")
@server_option
def command(
    *, job_ids: tuple[int, ...], changes: dict[str, Any] | None, output: Format, server: Address, **options: Any
) -> Exit:
    """Change jobs that have not started yet."""
    patch = {**_members(options), **(changes or {})}
    if not patch:
        raise click.UsageError("Give what to change, such as --priority 900, or --set with a JSON object.")
    with connect(server) as client:
        return change_each(job_ids, lambda job_id: client.update(job_id, patch), output)


def _members(options: dict[str, Any]) -> dict[str, Any]:
    """The members of a job that these options name."""
    given = {name: value for name, value in options.items() if value not in (None, ())}
    if "tags" in given:
        given["tags"] = dict(given["tags"])
    if "deadline" in given:
        given["deadline"] = deadline(given["deadline"])
    return given
