"""Actions on many jobs."""

from typing import Any

import msgspec

from queue_server.domain.access import EVERYBODY, Access
from queue_server.store.contract import JobFilter, NewOperation, Operation, OperationState
from queue_server.store.rows import Row


def operation_of_row(row: Any) -> Operation:
    """An operation from its row."""
    id_, action, state, wanted, *facts, access = row
    asked = EVERYBODY if access is None else msgspec.json.decode(access, type=Access)
    values: Any = (id_, action, OperationState(state), msgspec.json.decode(wanted, type=JobFilter), *facts, asked)
    return Operation(*values)


def row_of_operation(operation: NewOperation) -> Row:
    """A row for the query `insert_operation`."""
    return (
        operation.action,
        msgspec.json.encode(operation.filter).decode(),
        operation.reason,
        operation.changes,
        operation.last_id,
        0,
        operation.matched,
        operation.created_at,
        msgspec.json.encode(operation.access).decode(),
    )
