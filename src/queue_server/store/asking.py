"""On whose behalf something is read: many callers take turns, so that nobody's thousand lists hold up another's.

The web sets it for each request; what the server reads for itself counts as one caller more.
"""

from contextvars import ContextVar

asker: ContextVar[str] = ContextVar("asker", default="")
"""A name that all requests of one caller have in common."""
