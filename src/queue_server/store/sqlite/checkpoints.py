"""When the write-ahead log is copied into the database.

SQLite would do it inside a commit and keep quiet when it fails. Here it is done between transactions, after the answers
have gone out, and a failure is raised: a sync that failed once must never be trusted again.
"""

# pyright: reportUnknownMemberType=false
# (the driver's stubs name a type that only Python 3.12 has)

import apsw

CHECKPOINT_PAGES = 4000


class Checkpoints:
    """Follows the length of the log of one connection, the only one that makes checkpoints."""

    def __init__(self, database: apsw.Connection) -> None:
        self._database = database
        self._pages = 0
        self._pages_at_last = 0
        database.set_wal_hook(self._note)

    def run_if_due(self) -> None:
        """Copy the log if it has grown by CHECKPOINT_PAGES since the last time; apsw.Error when that fails."""
        if self._pages < self._pages_at_last:  # the log began anew
            self._pages_at_last = 0
        if self._pages - self._pages_at_last >= CHECKPOINT_PAGES:
            self._pages_at_last = self._pages
            self._database.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)

    def _note(self, _database: apsw.Connection, _name: str, pages: int) -> int:
        self._pages = pages
        return apsw.SQLITE_OK
