"""Which jobs a command changes: some by their IDs, or many by filters, after a question."""

import functools
import sys
from collections.abc import Callable
from typing import Any

import click
import msgspec

from queue_server.cli.filter_options import filter_options
from queue_server.cli.options import JOB_ID
from queue_server.cli.terminal import is_terminal

NOTHING = "Give the IDs of jobs, filters such as --state failed, or --all."
ASKS = "would change many jobs at once, and asks on a terminal only: add --yes, or --dry-run to count them."


class Selection(msgspec.Struct, frozen=True):
    """`ids`, or all jobs that `filters` match (with none: all there are)."""

    ids: tuple[int, ...]
    filters: dict[str, Any]
    dry_run: bool
    yes: bool


def selection_options(*, without: tuple[str, ...] = ()) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """IDs, filters, --all, --dry-run and --yes. The command gets them as one `selection`."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @click.argument("job_ids", metavar="[ID...]", type=JOB_ID, nargs=-1)
        @filter_options(without=without)
        @click.option("--all", "every", is_flag=True, help="All jobs there are.")
        @click.option("--dry-run", is_flag=True, help="Only count the jobs.")
        @click.option("--yes", is_flag=True, help="Don't ask.")
        @functools.wraps(command)
        def selecting(
            *, job_ids: tuple[int, ...], filters: dict[str, Any], every: bool, dry_run: bool, yes: bool, **options: Any
        ) -> Any:
            selection = Selection(job_ids, filters, dry_run, yes)
            check(selection, every=every)
            return command(selection=selection, **options)

        return selecting

    return decorate


def check(selection: Selection, *, every: bool) -> None:
    """A usage error for what contradicts itself, or could not be asked."""
    if selection.ids and (selection.filters or every):
        raise click.UsageError("Give IDs or filters, not both.")
    if selection.filters and every:
        raise click.UsageError("Give filters or --all, not both.")
    if selection.ids and selection.dry_run:
        raise click.UsageError("--dry-run counts the jobs that filters match; it can't be combined with IDs.")
    if not (selection.ids or selection.filters or every):
        raise click.UsageError(NOTHING)
    if not (selection.ids or selection.dry_run or selection.yes or can_ask()):
        raise click.UsageError(f"This {ASKS}")


def can_ask() -> bool:
    """Whether a person is there to answer."""
    return is_terminal(sys.stdin) and is_terminal(sys.stderr)


def confirm(question: str) -> None:
    """Ask; click.Abort unless the answer is yes."""
    click.confirm(question, err=True, abort=True)
