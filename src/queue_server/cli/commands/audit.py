"""`audit`: who has managed what."""

import sys
from datetime import UTC, datetime

import click

from queue_server.cli.client import connect
from queue_server.cli.human import age
from queue_server.cli.options import Format, output_option, server_option
from queue_server.cli.printers import Shape, printer
from queue_server.cli.tables import Column
from queue_server.cli.terminal import is_terminal, say
from queue_server.client import Act
from queue_server.client.address import Address
from queue_server.clock import Clock, SystemClock


@click.command("audit")
@click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="How many.")
@output_option("table", "json", "ndjson", "id")
@server_option
def command(*, limit: int, output: Format, server: Address) -> None:
    """See who has managed what, the newest first: cancelled, retried, deleted, tokens made, secrets set."""
    count = 0
    with connect(server) as client:
        out = printer(output, _shape(SystemClock()))
        for act in client.audit(limit=limit):
            out.add(act.raw)
            count += 1
        out.close()
    if output == "table" and count == 0 and is_terminal(sys.stderr):
        say("nobody has managed anything yet")


def _shape(clock: Clock) -> Shape[Act]:
    """Actions as rows; ages are those at this moment."""
    now = datetime.fromtimestamp(clock.now() / 1_000_000, UTC)
    columns = (
        Column[Act]("id", lambda it: str(it.id), lambda _: "bold", justify="right"),
        Column[Act]("age", lambda it: age(it.at, now), lambda _: "dim", justify="right"),
        Column[Act]("who", lambda it: it.who),
        Column[Act]("from", lambda it: it.address),
        Column[Act]("action", lambda it: it.action),
        Column[Act]("on", lambda it: it.target),
        Column[Act]("count", lambda it: "" if it.count is None else str(it.count), justify="right"),
        Column[Act]("details", lambda it: it.details, fit="cut"),
    )
    return Shape(Act, columns)
