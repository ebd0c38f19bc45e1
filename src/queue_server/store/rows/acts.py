"""The audit log."""

from queue_server.domain.audit import Act
from queue_server.store.rows import Row


def row_of_act(act: Act) -> Row:
    """The values of the query `insert_act`."""
    return (act.at, act.who, act.token_id, act.address, act.action, act.target, act.count, act.details)


def act_of_row(row: Row) -> Act:
    """A row of the query `acts`."""
    id_, at, who, token_id, address, action, target, count, details = row
    return Act(
        id=id_,
        at=at,
        who=who,
        token_id=token_id,
        address=address,
        action=action,
        target=target,
        count=count,
        details=details,
    )
