"""`stats`: how many jobs are in each state, and how many slots are free."""

from collections.abc import Iterator

import click

from queue_server.cli.client import connect
from queue_server.cli.job_columns import state_style
from queue_server.cli.options import Format, output_option, server_option
from queue_server.cli.printers import print_json
from queue_server.cli.tables import Fact, print_facts
from queue_server.client import Stats
from queue_server.client.address import Address


@click.command("stats")
@output_option("table", "json", "ndjson")
@server_option
def command(output: Format, server: Address) -> None:
    """Count the jobs in each state, and the free slots."""
    with connect(server) as client:
        stats = client.stats()
    if output == "table":
        print_facts(_facts(stats))
    else:
        print_json(stats.raw, output)


def _facts(stats: Stats) -> Iterator[Fact]:
    for state, count in stats.jobs.items():
        yield Fact(state, str(count), state_style(state) if count else "dim")
    yield Fact("slots", f"{stats.slots.free} of {stats.slots.total} free")
    yield Fact("version", stats.version)
