"""`top`: the server at work."""

import sys
from collections import deque

import click

from queue_server.cli.client import connect
from queue_server.cli.keys import QUIT, single_keys
from queue_server.cli.options import DURATION, server_option
from queue_server.cli.snapshot import Snapshot, rates, take
from queue_server.cli.terminal import console, is_terminal
from queue_server.cli.top_view import FAILURES, print_once, screen
from queue_server.client import Client, Unavailable, Unreachable
from queue_server.client.address import Address
from queue_server.clock import SystemClock

SPEED_OVER = 5
"""Rates are those of so many intervals: of one alone they would jump."""


@click.command("top")
@click.option("--interval", type=DURATION, default=1.0, show_default="1s", help="Look again after this time.")
@click.option("--once", is_flag=True, help="Print it once; also off a terminal.")
@server_option
def command(*, interval: float, once: bool, server: Address) -> None:
    """Watch the server work: its states, rates, slots, running jobs and last failures. q or Ctrl-C ends it."""
    with connect(server) as client:
        if once or not is_terminal(sys.stdout):
            print_once(take(client, SystemClock(), FAILURES))
        else:
            _watch(client, max(0.1, interval))


def _watch(client: Client, interval: float) -> None:
    from rich.live import Live

    out = console(sys.stdout)
    clock = SystemClock()
    seen = deque([take(client, clock, FAILURES)], SPEED_OVER + 1)
    with single_keys() as wait_for_key, Live(console=out, screen=True, auto_refresh=False) as live:
        trouble = ""
        while True:
            speed = rates(seen[0], seen[-1]) if len(seen) > 1 else None
            live.update(screen(seen[-1], speed, out.height, trouble), refresh=True)
            if wait_for_key(interval) in (QUIT, QUIT.upper()):
                return
            trouble = _look_again(client, seen)


def _look_again(client: Client, seen: deque[Snapshot]) -> str:
    """Add a snapshot, or say why there is none: the server may be being restarted."""
    try:
        seen.append(take(client, SystemClock(), FAILURES))
    except (Unreachable, Unavailable) as error:
        return str(error).partition(";")[0]
    return ""
