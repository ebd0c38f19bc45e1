"""`import`: the jobs of the first Queue Server, the PHP one, taken over from its table."""

import os
from collections.abc import Sequence
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Any, Literal

import click

from queue_server.cli.exits import CommandError
from queue_server.cli.setting_options import config_option, setting_options
from queue_server.cli.tables import Fact, print_facts
from queue_server.cli.terminal import printable, say
from queue_server.config.load import load
from queue_server.config.settings import Settings

if TYPE_CHECKING:
    from queue_server.moving.first_jobs import Rules
    from queue_server.moving.first_server import Report

SECOND = 1_000_000


class Zone(click.ParamType[tzinfo]):
    """A time zone, by its name or as an offset."""

    name = "zone"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tzinfo:
        """The zone, or a usage error."""
        from zoneinfo import ZoneInfo

        if isinstance(value, tzinfo):
            return value
        try:
            if str(value).startswith(("+", "-")):
                return datetime.strptime(value, "%z").tzinfo or self.fail(str(value), param, ctx)
            return ZoneInfo(value)
        except (ValueError, OSError, KeyError):
            self.fail(f"{value!r} is not known here; write it as Europe/Berlin or +01:00.", param, ctx)


@click.command("import")
@click.option(
    "--from",
    "source",
    required=True,
    metavar="URL",
    help="Its database: mysql://USER@HOST/NAME. MYSQL_PWD: the password.",
)
@click.option("--table", default="queue", show_default=True, metavar="NAME", help="Its table.")
@click.option(
    "--running",
    type=click.Choice(["wait", "fail"]),
    default="wait",
    show_default=True,
    help="What becomes of jobs that ran there: they wait, and run again; or they have failed.",
)
@click.option(
    "--time-zone", "zone", type=Zone(), metavar="ZONE", help="Of its times, such as Europe/Berlin; else its database's."
)
@click.option("--dry-run", is_flag=True, help="Only count what there is.")
@setting_options("db")
@config_option
def command(
    *,
    source: str,
    table: str,
    running: Literal["wait", "fail"],
    zone: tzinfo | None,
    dry_run: bool,
    config: str | None,
    **flags: str | None,
) -> None:
    """Take over the jobs of the first Queue Server, with their ids.

    What waited goes on here, in the same order; what has ended becomes history. The old table is only read. Stop both
    servers first. An import that was cut off goes on when it is run again, and a second one changes nothing.
    """
    import asyncio

    settings = load(flags, os.environ, config=config).settings
    if not source.startswith(("mysql://", "mariadb://")):
        raise click.UsageError("--from is mysql://USER@HOST/NAME: the first Queue Server kept its jobs in MySQL.")
    _print(asyncio.run(_taken_over(settings, source, table, zone, running=running, dry_run=dry_run)), running)
    if dry_run:
        say("nothing was changed")


async def _taken_over(
    settings: Settings, source: str, table: str, zone: tzinfo | None, *, running: Literal["wait", "fail"], dry_run: bool
) -> "Report":
    from contextlib import AsyncExitStack

    from queue_server.cli.moving_bar import moving_bar
    from queue_server.moving.first_server import take_over
    from queue_server.store.open_moving import open_first_table, open_import

    async with AsyncExitStack() as stack:
        first = await open_first_table(source, table, zone=zone, output_limit=settings.output_limit)
        stack.push_async_callback(first.close)
        target = None if dry_run else await open_import(settings.db)
        if target is not None:
            stack.push_async_callback(target.close)
        bar = stack.enter_context(moving_bar())
        return await take_over(first, target, _rules(settings, running), bar.show)


def _rules(settings: Settings, running: Literal["wait", "fail"]) -> "Rules":
    from queue_server.clock import SystemClock
    from queue_server.domain.secret import NO_SEALER
    from queue_server.domain.state import State
    from queue_server.moving.first_jobs import Rules
    from queue_server.operations.add import defaults_of

    failed = round(settings.retention_failed * SECOND)
    keep = {State.COMPLETED: round(settings.retention_completed * SECOND), State.FAILED: failed}
    return Rules(now=SystemClock().now(), defaults=defaults_of(settings, NO_SEALER), keep=keep, running=running)


def _print(report: "Report", running: str) -> None:
    """The counts on stdout; what could not be read, and what was read with care, on stderr."""
    becomes = {"running": "running there, " + ("waits again" if running == "wait" else "has failed")}
    facts = [Fact(becomes.get(kind, kind), str(count)) for kind, count in sorted(report.counts.items())]
    print_facts([*facts, Fact("not taken over", str(report.unread_count), "red" if report.unread_count else "")])
    _list("read with care", [(job_id, why) for job_id, why in report.remarks])
    _list("not taken over", [(one.id, one.why) for one in report.unread])
    if report.unread_count > len(report.unread):
        say(f"not taken over: {report.unread_count - len(report.unread):,} more")
    if report.missed:
        raise CommandError(f"{report.missed:,} rows were not seen: their ids are those of others, or they were deleted")


def _list(heading: str, rows: Sequence[tuple[int, str]]) -> None:
    for job_id, why in rows:
        say(f"{heading}: row {job_id}: {printable(why)}")
