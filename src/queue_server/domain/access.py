"""Who asks, and what they may: the rights that a token gives, or those of everybody where no token is needed."""

from collections.abc import Collection, Mapping
from enum import StrEnum

import msgspec


class Right(StrEnum):
    """A right of a token, which the API calls a scope. Some hold others; see `HOLDS`."""

    ADD = "add"
    ADD_EXEC = "add:exec"
    READ = "read"
    READ_OUTPUT = "read:output"
    MANAGE = "manage"
    ADMIN = "admin"


HOLDS: Mapping[Right, frozenset[Right]] = {
    Right.ADD: frozenset({Right.ADD}),
    Right.ADD_EXEC: frozenset({Right.ADD_EXEC, Right.ADD}),
    Right.READ: frozenset({Right.READ}),
    Right.READ_OUTPUT: frozenset({Right.READ_OUTPUT, Right.READ}),
    Right.MANAGE: frozenset({Right.MANAGE, Right.READ}),
    Right.ADMIN: frozenset(Right),
}
"""What a token with a scope may do: adding commands means adding jobs, seeing outputs means seeing jobs."""


Scope = Right


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks. `scopes` are all that are held. `contexts` and `queues` bind it to such jobs; None is all.

    `token_id` is the token's, None where the server needs no token or the token comes from the settings.
    """

    name: str
    scopes: frozenset[Right]
    contexts: frozenset[str] | None = None
    queues: frozenset[str] | None = None
    token_id: int | None = None

    def may(self, right: Right) -> bool:
        """Whether it has the right."""
        return right in self.scopes

    def sees(self, context: str, queue: str) -> bool:
        """Whether a job of this context and queue is any of its business."""
        return (self.contexts is None or context in self.contexts) and (self.queues is None or queue in self.queues)

    @property
    def is_bound(self) -> bool:
        """Whether there are jobs that it does not see."""
        return self.contexts is not None or self.queues is not None


def held(scopes: Collection[Right]) -> frozenset[Right]:
    """All rights that these scopes give."""
    return frozenset(right for scope in scopes for right in HOLDS[scope])


EVERYBODY = Access(name="everybody", scopes=frozenset(Right))
"""Whoever can connect, where the server asks for no token."""
