"""The options that say which jobs, for `ls` and for the commands that change many. The command gets `filters`."""

import functools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from queue_server.cli.options import PAIR
from queue_server.clock import SystemClock
from queue_server.config.units import parse_duration
from queue_server.domain.state import State

STATES = tuple(state.value for state in State)


class Past(click.ParamType[datetime]):
    """A time, or how long ago it was: 2026-11-24T09:30:00Z, 15m, 2h."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """The time with its zone (this machine's, where none is given), or a usage error."""
        if isinstance(value, datetime):
            return value
        try:
            return _now() - timedelta(seconds=parse_duration(value))
        except ValueError:
            pass
        try:
            return datetime.fromisoformat(value).astimezone()
        except ValueError:
            self.fail(f"{value!r} is no time such as 2026-11-24T09:30:00Z, or 2h for two hours ago.", param, ctx)


PAST = Past()
OPTIONS = {
    "state": click.option("--state", multiple=True, type=click.Choice(STATES), help="In this state; repeatable."),
    "type": click.option("--type", type=click.Choice(("http", "exec")), help="Of this type."),
    "queue": click.option("--queue", metavar="NAME", help="In this queue."),
    "context": click.option("--context", metavar="TEXT", help="With this context."),
    "key": click.option("--key", metavar="TEXT", help="With this key."),
    "parent_id": click.option(
        "--parent", "parent_id", type=click.IntRange(min=1), metavar="ID", help="Callbacks of it."
    ),
    "tags": click.option(
        "--tag", "tags", type=PAIR, multiple=True, metavar="NAME=VALUE", help="Tagged so; repeatable."
    ),
    "created_after": click.option(
        "--created-after", type=PAST, help="Added at this time or later; 2h: in the last 2 h."
    ),
    "created_before": click.option("--created-before", type=PAST, help="Added before this time; 2h: over 2 h ago."),
    "ended_after": click.option("--ended-after", type=PAST, help="Ended at this time or later."),
    "ended_before": click.option("--ended-before", type=PAST, help="Ended before this time."),
}


def filter_options(*, without: tuple[str, ...] = ()) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """All of them, but for those. The command gets those that were given as one dict, `filters`."""
    names = [name for name in OPTIONS if name not in without]

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def filtered(*arguments: Any, **options: Any) -> Any:
            filters = _given({name: options.pop(name) for name in names})
            return command(*arguments, filters=filters, **options)

        for name in reversed(names):
            filtered = OPTIONS[name](filtered)
        return filtered

    return decorate


def _given(options: dict[str, Any]) -> dict[str, Any]:
    """The filters of the client that these options mean."""
    filters = {name: value for name, value in options.items() if value not in (None, ())}
    if "tags" in filters:
        filters["tags"] = dict(filters["tags"])
    return filters


def _now() -> datetime:
    return datetime.fromtimestamp(SystemClock().now() / 1_000_000, UTC)
