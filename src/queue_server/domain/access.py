"""Who asks, and what they may: the rights that a token gives, or those of everybody where no token is needed."""

from collections.abc import Collection, Mapping
from enum import StrEnum

import msgspec


class Scope(StrEnum):
    """A right of a token. Some hold others; see `HOLDS`."""

    ADD = "add"
    ADD_EXEC = "add:exec"
    READ = "read"
    READ_OUTPUT = "read:output"
    MANAGE = "manage"
    ADMIN = "admin"


HOLDS: Mapping[Scope, frozenset[Scope]] = {
    Scope.ADD: frozenset({Scope.ADD}),
    Scope.ADD_EXEC: frozenset({Scope.ADD_EXEC, Scope.ADD}),
    Scope.READ: frozenset({Scope.READ}),
    Scope.READ_OUTPUT: frozenset({Scope.READ_OUTPUT, Scope.READ}),
    Scope.MANAGE: frozenset({Scope.MANAGE, Scope.READ}),
    Scope.ADMIN: frozenset(Scope),
}
"""What a token with a scope may do: adding commands means adding jobs, seeing outputs means seeing jobs."""


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks. `scopes` are all that are held. `contexts` and `queues` bind it to such jobs; None is all.

    `token_id` is the token's, None where the server needs no token or the token comes from the settings.
    """

    name: str
    scopes: frozenset[Scope]
    contexts: frozenset[str] | None = None
    queues: frozenset[str] | None = None
    token_id: int | None = None

    def may(self, scope: Scope) -> bool:
        """Whether it has the right."""
        return scope in self.scopes

    def sees(self, context: str, queue: str) -> bool:
        """Whether a job of this context and queue is any of its business."""
        return (self.contexts is None or context in self.contexts) and (self.queues is None or queue in self.queues)

    @property
    def is_bound(self) -> bool:
        """Whether there are jobs that it does not see."""
        return self.contexts is not None or self.queues is not None


def held(scopes: Collection[Scope]) -> frozenset[Scope]:
    """All rights that these scopes give."""
    return frozenset(right for scope in scopes for right in HOLDS[scope])


EVERYBODY = Access(name="everybody", scopes=frozenset(Scope))
"""Whoever can connect, where the server asks for no token."""
