"""The options that describe a job, for `add` and `edit`: those of the job itself, not of its command."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from queue_server.cli.options import DURATION, PAIR
from queue_server.config.units import parse_duration

F = TypeVar("F", bound=Callable[..., Any])

OPTIONS = (
    click.option("--queue", metavar="NAME", help="The queue it waits in."),
    click.option("--key", metavar="TEXT", help="What it is about, such as a customer, for limits and filters."),
    click.option("--priority", type=click.IntRange(0, 1000), metavar="NUMBER", help="Higher runs earlier."),
    click.option("--context", metavar="TEXT", help="Your label for such jobs, such as the app's name."),
    click.option("--tag", "tags", type=PAIR, multiple=True, metavar="NAME=VALUE", help="A tag; repeatable."),
    click.option("--delay", type=DURATION, help="Run it after this time, such as 90 or 12h."),
    click.option("--run-at", metavar="TIME", help="Run it at this time, such as 2026-11-24T09:30:00Z."),
    click.option("--ttl", type=DURATION, help="Give it up if it has not started after this time."),
    click.option("--expires-at", metavar="TIME", help="Give it up if it has not started by then."),
    click.option("--deadline", metavar="DURATION|TIME", help="Limit over all attempts together."),
    click.option("--retention", type=DURATION, help="Keep it so long once it has ended."),
)


def job_options(command: F) -> F:
    """All of them, in this order."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def deadline(text: str | None) -> float | str | None:
    """A length of time in seconds; what is none is a time, which the server reads."""
    if text is None:
        return None
    try:
        return parse_duration(text)
    except ValueError:
        return text
