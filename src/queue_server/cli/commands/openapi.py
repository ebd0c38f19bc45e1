"""`openapi`: the description of the API."""

import click

from queue_server.cli.client import connect
from queue_server.cli.options import Format, output_option, server_option
from queue_server.cli.printers import print_json
from queue_server.client.address import Address


@click.command("openapi")
@output_option("json", "ndjson", default="json")
@server_option
def command(*, output: Format, server: Address) -> None:
    """Print the server's description of its API (OpenAPI 3.1)."""
    with connect(server) as client:
        print_json(client.openapi(), output)
