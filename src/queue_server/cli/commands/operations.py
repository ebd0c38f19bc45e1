"""`operations`: changes of many jobs, and how far they are."""

import sys

import click

from queue_server.cli.client import connect
from queue_server.cli.exits import Exit
from queue_server.cli.many_jobs import finish
from queue_server.cli.operation_columns import operation_facts, operation_shape
from queue_server.cli.options import Format, output_option, server_option
from queue_server.cli.printers import print_json, printer
from queue_server.cli.tables import print_facts
from queue_server.cli.terminal import is_terminal, say
from queue_server.client import Operation
from queue_server.client.address import Address
from queue_server.clock import SystemClock

OPERATION_ID = click.IntRange(min=1)


class LsByDefault(click.Group):
    """Lists, when nothing else is asked for."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """The arguments, or `ls`."""
        return super().parse_args(ctx, args or ["ls"])


@click.group("operations", cls=LsByDefault)
def command() -> None:
    """Look at the changes of many jobs, and stop them. Without a command it lists them."""


@command.command("ls")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="How many.")
@output_option("table", "json", "ndjson", "id")
@server_option
def ls(*, limit: int, output: Format, server: Address) -> None:
    """List operations, the newest first."""
    count = 0
    with connect(server) as client:
        out = printer(output, operation_shape(SystemClock()))
        for operation in client.operations(limit=limit):
            out.add(operation.raw)
            count += 1
        out.close()
    if output == "table" and count == 0 and is_terminal(sys.stderr):
        say("there are no operations")


@command.command("show")
@click.argument("operation_id", metavar="ID", type=OPERATION_ID)
@output_option("table", "json", "ndjson")
@server_option
def show(*, operation_id: int, output: Format, server: Address) -> None:
    """Show one operation."""
    with connect(server) as client:
        _print(client.operation(operation_id), output)


@command.command("wait")
@click.argument("operation_id", metavar="ID", type=OPERATION_ID)
@output_option("table", "json", "ndjson")
@server_option
def wait(*, operation_id: int, output: Format, server: Address) -> Exit:
    """Wait until an operation has ended."""
    with connect(server) as client:
        return finish(client, client.operation(operation_id), output)


@command.command("cancel")
@click.argument("operation_id", metavar="ID", type=OPERATION_ID)
@output_option("table", "json", "ndjson")
@server_option
def cancel(*, operation_id: int, output: Format, server: Address) -> None:
    """Stop an operation. What it has done stays done."""
    with connect(server) as client:
        _print(client.cancel_operation(operation_id), output)


def _print(operation: Operation, form: Format) -> None:
    if form == "table":
        print_facts(operation_facts(operation))
    else:
        print_json(operation.raw, form)
