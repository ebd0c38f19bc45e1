"""`explain`: why a job is where it is."""

import click

from queue_server.cli.client import connect
from queue_server.cli.options import JOB_ID, Format, output_option, server_option
from queue_server.cli.printers import print_json
from queue_server.cli.terminal import printable
from queue_server.client.address import Address


@click.command("explain")
@click.argument("job_id", metavar="ID", type=JOB_ID)
@output_option("table", "json", "ndjson")
@server_option
def command(*, job_id: int, output: Format, server: Address) -> None:
    """Say in a sentence why a job is where it is, and what comes next; -o json has the facts."""
    with connect(server) as client:
        explanation = client.explain(job_id)
    if output != "table":
        print_json(explanation.raw, output)
    else:
        print(printable(explanation.sentence))
