"""`version`: of this program."""

import platform

import click
import msgspec

from queue_server import __version__
from queue_server.cli.options import Format, output_option
from queue_server.cli.printers import print_json


@click.command("version")
@output_option("table", "json", "ndjson")
def command(output: Format) -> None:
    """Print the version of this program."""
    if output == "table":
        print(f"queue-server {__version__}")
    else:
        told = {"version": __version__, "python": platform.python_version()}
        print_json(msgspec.json.encode(told), output)
