"""What the database's own settings weaken of our promises."""

from queue_server.store.postgres.session import Session

SETTINGS = "select name, setting from pg_settings where name in ('synchronous_commit', 'fsync', 'full_page_writes')"

WEAK = {
    (
        "synchronous_commit",
        "off",
    ): "synchronous_commit is off: the last accepted jobs may be lost when the database crashes",
    ("fsync", "off"): "fsync is off: all jobs may be lost when the machine of the database crashes",
    ("full_page_writes", "off"): "full_page_writes is off: the database may be damaged when its machine crashes",
}


async def warnings_of(session: Session) -> list[str]:
    """A sentence for each setting that weakens a promise."""
    found = {(name, setting) for name, setting in await session.rows_of(SETTINGS, ())}
    return [sentence for pair, sentence in WEAK.items() if pair in found]
