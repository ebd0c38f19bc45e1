"""Rows of data as a table: aligned and coloured on a terminal, separated by tabs everywhere else.

Off a terminal there is no heading, as with `gh`: what reads it wants the rows.
"""

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

from queue_server.cli.terminal import console, is_terminal, printable

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

T = TypeVar("T")


@dataclass(frozen=True)
class Column(Generic[T]):
    """One column: its heading, and what a row shows in it. `fit` is what a narrow terminal does to it."""

    title: str
    text: Callable[[T], str]
    style: Callable[[T], str] = lambda _: ""
    justify: Literal["left", "right"] = "left"
    fit: Literal["keep", "cut", "wrap"] = "keep"


@dataclass(frozen=True)
class Fact:
    """One line of a description: what, and its value."""

    name: str
    value: str
    style: str = ""


def print_table(rows: Iterable[T], columns: Sequence[Column[T]]) -> None:
    """Write the rows to stdout."""
    if is_terminal(sys.stdout):
        console(sys.stdout).print(rich_table(rows, columns))
    else:
        for row in rows:
            print_row(row, columns)


def print_row(row: T, columns: Sequence[Column[T]]) -> None:
    """Write one row to stdout, its values separated by tabs."""
    print("\t".join(printable(column.text(row)) for column in columns))


def print_facts(facts: Iterable[Fact]) -> None:
    """Write facts to stdout, one a line."""
    if not is_terminal(sys.stdout):
        for fact in facts:
            print(f"{fact.name}\t{printable(fact.value)}")
        return
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    for fact in facts:
        grid.add_row(Text(fact.name, style="dim"), Text(printable(fact.value), fact.style, overflow="fold"))
    console(sys.stdout).print(grid)


def rich_table(rows: Iterable[T], columns: Sequence[Column[T]]) -> "Table":
    """The rows as an aligned table for a terminal."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column.title.upper(), justify=column.justify, no_wrap=column.fit == "keep")
    for row in rows:
        table.add_row(*(_cell(row, column) for column in columns))
    return table


def _cell(row: T, column: Column[T]) -> "Text":
    from rich.text import Text

    is_cut = column.fit == "cut"
    text = printable(column.text(row))
    return Text(text, column.style(row), no_wrap=is_cut, overflow="ellipsis" if is_cut else "fold")
