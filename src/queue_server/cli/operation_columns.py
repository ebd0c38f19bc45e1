"""How operations look."""

from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec

from queue_server.cli.human import age, moment
from queue_server.cli.printers import Shape
from queue_server.cli.tables import Column, Fact
from queue_server.client import Operation
from queue_server.clock import Clock

STATE_STYLES = {"running": "yellow", "completed": "green", "failed": "bold red", "cancelled": "magenta"}


def operation_shape(clock: Clock) -> Shape[Operation]:
    """Operations as rows; ages are those at this moment."""
    now = datetime.fromtimestamp(clock.now() / 1_000_000, UTC)
    columns = (
        Column[Operation]("id", lambda it: str(it.id), lambda _: "bold", justify="right"),
        Column[Operation]("action", lambda it: it.action),
        Column[Operation]("state", lambda it: it.state, lambda it: STATE_STYLES.get(it.state, "")),
        Column[Operation]("matched", lambda it: str(it.matched), justify="right"),
        Column[Operation]("done", lambda it: str(it.done), justify="right"),
        Column[Operation]("skipped", lambda it: str(it.skipped), justify="right"),
        Column[Operation]("age", lambda it: age(it.created_at, now), lambda _: "dim", justify="right"),
        Column[Operation]("filter", _filter, fit="cut"),
    )
    return Shape(Operation, columns)


def operation_facts(operation: Operation) -> Iterator[Fact]:
    """All about one operation."""
    yield Fact("operation", str(operation.id), "bold")
    yield Fact("action", operation.action)
    yield Fact("state", operation.state, STATE_STYLES.get(operation.state, ""))
    if operation.error:
        yield Fact("error", operation.error, "red")
    yield Fact("matched", str(operation.matched))
    yield Fact("done", str(operation.done))
    yield Fact("skipped", str(operation.skipped))
    yield Fact("filter", _filter(operation))
    yield Fact("created", moment(operation.created_at))
    if operation.ended_at:
        yield Fact("ended", moment(operation.ended_at))


def _filter(operation: Operation) -> str:
    return msgspec.json.encode(operation.filter).decode()
