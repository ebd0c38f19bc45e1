"""Items as the server wrote them, in the form that `-o` asks for; as they come, where the form allows it."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from queue_server.cli.options import Format
from queue_server.cli.tables import Column, print_row, print_table
from queue_server.cli.terminal import is_terminal

T = TypeVar("T")


@dataclass(frozen=True)
class Shape(Generic[T]):
    """What is printed: the type of an item and its columns."""

    item: type[T]
    columns: Sequence[Column[T]]


class Printer(Protocol):
    """Takes items, each as JSON; `close` when there are no more."""

    def add(self, item: bytes) -> None:
        """Print the item, or keep it for the end."""
        ...

    def close(self) -> None:
        """Print what is left."""
        ...


def printer(form: Format, shape: Shape[Any]) -> Printer:
    """The printer for a form."""
    match form:
        case "id":
            return IdPrinter()
        case "ndjson":
            return LinePrinter()
        case "json":
            return ArrayPrinter()
        case "table":
            return TablePrinter(shape) if is_terminal(sys.stdout) else RowPrinter(shape)


def print_json(item: bytes, form: Format) -> None:
    """Print one JSON value by itself: on one line for ndjson, else indented."""
    print(_indented(item) if form == "json" else _line(item))


class IdPrinter:
    """One id a line."""

    def add(self, item: bytes) -> None:
        """Print the item's id."""
        print(msgspec.json.decode(item, type=_WithId).id, flush=True)

    def close(self) -> None:
        """Nothing is left."""


class LinePrinter:
    """One JSON value a line."""

    def add(self, item: bytes) -> None:
        """Print the item on its line."""
        print(_line(item), flush=True)

    def close(self) -> None:
        """Nothing is left."""


class ArrayPrinter:
    """A JSON array, written as the items come: a long list needs no memory."""

    def __init__(self) -> None:
        self._before = "[\n"

    def add(self, item: bytes) -> None:
        """Print the item after what separates it from the one before."""
        print(self._before + _indented(item), end="")
        self._before = ",\n"

    def close(self) -> None:
        """End the array."""
        print("[]" if self._before == "[\n" else "\n]")


class RowPrinter(Generic[T]):
    """One row of values a line, separated by tabs."""

    def __init__(self, shape: Shape[T]) -> None:
        self._shape = shape

    def add(self, item: bytes) -> None:
        """Print the item's row."""
        print_row(msgspec.json.decode(item, type=self._shape.item), self._shape.columns)

    def close(self) -> None:
        """Nothing is left."""


class TablePrinter(Generic[T]):
    """An aligned table, which needs all items before it can be written."""

    def __init__(self, shape: Shape[T]) -> None:
        self._shape = shape
        self._rows: list[T] = []

    def add(self, item: bytes) -> None:
        """Keep the item."""
        self._rows.append(msgspec.json.decode(item, type=self._shape.item))

    def close(self) -> None:
        """Print the table, if there is something in it."""
        if self._rows:
            print_table(self._rows, self._shape.columns)


class _WithId(msgspec.Struct):
    id: int


def _line(item: bytes) -> str:
    return msgspec.json.format(item, indent=-1).decode()


def _indented(item: bytes) -> str:
    return msgspec.json.format(item, indent=2).decode()
