"""How `top` looks: once as plain facts and rows, or as a screen that is drawn again and again."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from queue_server.cli.human import age, span
from queue_server.cli.job_columns import result, state_style
from queue_server.cli.snapshot import Rates, Snapshot
from queue_server.cli.tables import Column, Fact, print_facts, print_table, rich_table
from queue_server.client import Job

if TYPE_CHECKING:
    from rich.console import Group, RenderableType

FAILURES = 5
BAR_WIDTH = 30
LINES_AROUND = 8
"""Of the screen: what is not a running job or a failure."""


def print_once(snapshot: Snapshot) -> None:
    """Write the snapshot to stdout: counts, running jobs, failures, with a blank line between."""
    print_facts(_facts(snapshot))
    for jobs, columns in ((snapshot.running, _running(snapshot.at)), (snapshot.failed, _failed(snapshot.at))):
        if jobs:
            print()
            print_table(jobs, columns)


def screen(snapshot: Snapshot, speed: Rates | None, height: int, trouble: str) -> "Group":
    """The snapshot in `height` lines. `trouble` is why there is no newer one, if so."""
    from rich.console import Group
    from rich.text import Text

    parts: list[RenderableType] = [_head(snapshot, speed, trouble), _states(snapshot), _slots(snapshot), Text()]
    room = max(1, height - LINES_AROUND - (len(snapshot.failed) + 2 if snapshot.failed else 0))
    shown = snapshot.running[:room]
    title = f"running  {len(shown)} of {snapshot.stats.jobs.get('running', 0)}, the oldest first"
    parts += [Text(title, style="bold"), rich_table(shown, _running(snapshot.at))]
    if snapshot.failed:
        parts += [Text(), Text("last failures", style="bold"), rich_table(snapshot.failed, _failed(snapshot.at))]
    return Group(*parts)


def _facts(snapshot: Snapshot) -> Iterator[Fact]:
    for state, count in snapshot.stats.jobs.items():
        yield Fact(state, str(count), state_style(state) if count else "dim")
    slots = snapshot.stats.slots
    yield Fact("slots", f"{slots.free} of {slots.total} free")


def _head(snapshot: Snapshot, speed: Rates | None, trouble: str) -> "RenderableType":
    from rich.text import Text

    line = Text(f"Queue Server {snapshot.stats.version}", style="bold", no_wrap=True, overflow="ellipsis")
    line.append(f"   {_moment(snapshot.at):%H:%M:%S} UTC", "dim")
    if trouble:
        return line.append(f"   {trouble}", "bold red")
    if speed:
        line.append(f"   added {speed.added:,.1f}/s   ended {speed.ended:,.1f}/s   ", "")
        line.append(f"failed {speed.failed:,.1f}/s", "red" if speed.failed else "dim")
    return line.append("   q quits", "dim")


def _states(snapshot: Snapshot) -> "RenderableType":
    from rich.text import Text

    line = Text(no_wrap=True, overflow="ellipsis")
    for state, count in snapshot.stats.jobs.items():
        line.append(f"{state} ", "dim")
        line.append(f"{count:,}   ", state_style(state) if count else "dim")
    return line


def _slots(snapshot: Snapshot) -> "RenderableType":
    from rich.text import Text

    slots = snapshot.stats.slots
    used = slots.total - slots.free
    filled = round(BAR_WIDTH * used / slots.total) if slots.total else 0
    line = Text("slots ", style="dim")
    line.append("█" * filled, "yellow").append("░" * (BAR_WIDTH - filled), "dim")
    return line.append(f" {used} of {slots.total} used", "")


def _running(now: int) -> Sequence[Column[Job]]:
    moment = _moment(now)
    return (
        Column[Job]("id", lambda job: str(job.id), lambda _: "bold", justify="right"),
        Column[Job]("runs", lambda job: _runs(job, moment), lambda _: "yellow", justify="right"),
        Column[Job]("attempt", lambda job: str(job.attempt), justify="right"),
        Column[Job]("context", lambda job: job.context, fit="cut"),
        Column[Job]("what", lambda job: job.summary, fit="cut"),
    )


def _failed(now: int) -> Sequence[Column[Job]]:
    moment = _moment(now)
    return (
        Column[Job]("id", lambda job: str(job.id), lambda _: "bold", justify="right"),
        Column[Job]("ago", lambda job: age(job.ended_at or moment, moment), lambda _: "dim", justify="right"),
        Column[Job]("result", result, lambda _: "red"),
        Column[Job]("what", lambda job: job.summary, fit="cut"),
        Column[Job]("error", lambda job: job.error or job.reason or "", fit="cut"),
    )


def _runs(job: Job, now: datetime) -> str:
    return span(max(0.0, (now - job.started_at).total_seconds())) if job.started_at else ""


def _moment(microseconds: int) -> datetime:
    return datetime.fromtimestamp(microseconds / 1_000_000, UTC)
