"""`events`: what happens to jobs, as it happens."""

from typing import Any

import click

from queue_server.cli.client import connect
from queue_server.cli.event_lines import EventLines, EventPrinter, EventRows
from queue_server.cli.filter_options import STATES
from queue_server.cli.options import HEADER_TEXT, JOB_ID, Format, output_option, server_option
from queue_server.client.address import Address

TYPES = ("added", "started", "retrying", "completed", "failed", "cancelled", "updated", "deleted")


@click.command("events")
@click.argument("job_id", metavar="[ID]", type=JOB_ID, required=False)
@click.option("--type", "types", multiple=True, type=click.Choice(TYPES), help="Of this type; repeatable.")
@click.option("--state", "states", multiple=True, type=click.Choice(STATES), help="Of jobs in this state; repeatable.")
@click.option("--queue", metavar="NAME", help="Of jobs in this queue.")
@click.option("--context", metavar="TEXT", help="Of jobs with this context.")
@click.option("--after", type=HEADER_TEXT, metavar="EVENT-ID", default="", help="Go on after this event.")
@output_option("table", "ndjson")
@server_option
def command(
    *,
    job_id: int | None,
    types: tuple[str, ...],
    states: tuple[str, ...],
    after: str,
    output: Format,
    server: Address,
    **options: Any,
) -> None:
    """Print what happens to jobs until Ctrl-C; with an ID, to one job until it has ended."""
    filters: dict[str, Any] = {"type": [f"job.{name}" for name in types], "state": list(states), **options}
    given = {name: value for name, value in filters.items() if value}
    if job_id is not None and given:
        raise click.UsageError("Give an ID or filters, not both.")
    out: EventPrinter = EventLines() if output == "ndjson" else EventRows()
    with connect(server) as client:
        for event in client.events(job_id, last_event_id=after, **given):
            out.show(event)
