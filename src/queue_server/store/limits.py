"""How much a store does in one go, and how long it keeps what nobody asks for: the same in every store."""

PROMOTE_PAGE = 1000
"""Due jobs that are made available before a claim."""

CLAIM_LIMIT = 256
"""Jobs of one type in a claim."""

CLAIM_BYTES = 16 * 1024 * 1024
"""Plans in one claim: more would only fill the memory, and a claim follows as soon as slots are free."""

PENDING_BYTES_LIMIT = 128 * 1024 * 1024
"""Payload bytes that may wait to be written; more would only fill the memory while the disk or the database is slow."""

PURGE_SLACK = 3600 * 1_000_000
"""Before the last cut an end may still turn up for so long: the clock was set back, or its commit took time."""

OPERATIONS_KEPT = 30 * 86_400 * 1_000_000
"""How long operations are kept once they have ended."""
