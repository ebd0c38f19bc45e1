"""A secret in a job: what a client writes in place of a text, and what is shown of it, which is never the text."""

from typing import Annotated, Literal, Protocol, cast

import msgspec
from msgspec import Meta

MASK = "***"
"""Stands for a secret wherever a job is stored or shown."""

SecretName = Annotated[
    str,
    Meta(
        pattern=r"\A[A-Za-z0-9._-]{1,64}\Z",
        extra={"expected": "1 to 64 of letters, digits and the characters . _ -"},
    ),
]


class Secret(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A text that is sealed at once and never shown again, or the name of one that the server keeps.

    `{"secret": "Bearer abc"}`, or `{"secret_ref": "api", "prefix": "Bearer "}`.
    """

    secret: str | None = None
    secret_ref: SecretName | None = None
    prefix: str = ""

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    @property
    def is_masked(self) -> bool:
        """Whether it stands for a text that is kept elsewhere."""
        return self.secret == MASK


MASKED = Secret(MASK)

Text = str | Secret
"""A text that may be a secret."""


Kind = Literal["value", "signing"]
"""What a kept secret is for: to be put into jobs, or to sign requests."""


class KeptSecret(msgspec.Struct, frozen=True):
    """A secret that is kept under a name. An old signing secret is in force `until` a moment, today's has None."""

    id: int
    name: str
    kind: Kind
    sealed: str
    created_at: int
    until: int | None = None

    def __repr__(self) -> str:
        return f"KeptSecret({self.kind} {self.name})"


def place_of(kind: Kind, name: str) -> str:
    """What a kept secret is sealed for."""
    return f"{kind} {name}"


class Sealer(Protocol):
    """Makes texts unreadable for all but the server's key, and knows the names of those that it keeps."""

    def seal(self, text: str, place: str) -> str:
        """The sealed text. It can be opened for this place only."""
        ...

    def open(self, sealed: str, place: str) -> str:
        """The text; SecretUnavailable if it can't be opened."""
        ...

    def knows(self, name: str) -> bool:
        """Whether a secret of this name is kept."""
        ...


class NoSealer:
    """A sealer for where no job with secrets is expected."""

    def seal(self, text: str, place: str) -> str:
        """See Sealer."""
        raise NotImplementedError("there is no key here: jobs with secrets are not expected")

    def open(self, sealed: str, place: str) -> str:
        """See Sealer."""
        raise NotImplementedError("there is no key here: jobs with secrets are not expected")

    def knows(self, name: str) -> bool:  # noqa: ARG002
        """See Sealer."""
        return False


NO_SEALER = NoSealer()
MEMBERS = frozenset(Secret.__struct_fields__)


def is_meant_as_secret(value: object) -> bool:
    """Whether a JSON object, found where any may stand, is a secret: it has the members of one and no others."""
    if not isinstance(value, dict):
        return False
    members = cast("dict[str, object]", value)
    return ("secret" in members or "secret_ref" in members) and MEMBERS.issuperset(members)


def secret_problem(secret: Secret) -> str | None:
    """What is wrong with it, in words that complete a sentence about it."""
    if (secret.secret is None) == (secret.secret_ref is None):
        return "needs secret (a text) or secret_ref (the name of one that is kept), not both"
    if secret.prefix and secret.secret_ref is None:
        return "can have a prefix with secret_ref only; write it into the secret"
    return None
