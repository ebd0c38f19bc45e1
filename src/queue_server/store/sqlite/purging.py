"""Deleting what is old, a page at a time, inside a transaction of the writing connection."""

from collections.abc import Mapping

import msgspec
from msgspec import json

from queue_server.domain.state import FINAL_STATES, State
from queue_server.store.limits import OPERATIONS_KEPT, PURGE_SLACK
from queue_server.store.sqlite.session import Session

BEGINNING = 0


class Purge(msgspec.Struct, frozen=True):
    """Deletes a page. Knows for each state up to where all is deleted.

    Jobs with their own retention stay where they are: of a million of them each page would otherwise read all.
    """

    clean_to: Mapping[State, int] = {}

    def page(self, session: Session, ended_before: Mapping[State, int], now: int, limit: int) -> tuple[int, "Purge"]:
        """See Store.purge: how much was deleted, and what deletes the next page once this one is committed."""
        deleted, clean_to = 0, dict(self.clean_to)
        for state, before in ended_before.items():
            start = clean_to.get(state, BEGINNING)
            ids = json.decode(session.value("purgeable", (state, start, before, limit - deleted)))
            session.delete(ids, state)
            deleted += len(ids)
            if deleted < limit:
                clean_to[state] = max(BEGINNING, before - PURGE_SLACK)
        deleted += _purge_kept(session, now, limit - deleted)
        deleted += session.run("delete_once", now, limit - deleted)
        deleted += session.run("delete_operations", now - OPERATIONS_KEPT, limit - deleted)
        return deleted, Purge(clean_to)


def _purge_kept(session: Session, now: int, limit: int) -> int:
    """Jobs whose own retention is over."""
    found = json.decode(session.value("kept_too_long", (now, limit)))
    for state in FINAL_STATES:
        session.delete([job_id for job_id, its_state in found if its_state == state], state)
    return len(found)
