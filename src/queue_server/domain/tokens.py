"""API tokens: what they look like, what may be asked for, and what is kept of them.

    TokenRequest   the JSON of POST /v1/tokens
    NewToken       a token to be stored: never its text, only the SHA-256 digest of it
    Token          one that is stored

The text is 256 random bits, so a fast digest keeps it: there is nothing that could be guessed. Times are integer
microseconds UTC.
"""

import re
import string
from collections.abc import Iterator, Sequence
from enum import StrEnum
from hashlib import sha256
from typing import Annotated, Literal, NamedTuple

import msgspec
from msgspec import Meta

from queue_server.domain.access import Access, Right, held
from queue_server.domain.errors import InvalidJob, Problem
from queue_server.domain.instants import parse_instant
from queue_server.domain.job import NO_CONTROLS, Instant, QueueName
from queue_server.domain.retry import YEAR_S
from queue_server.domain.target_items import read_item

PREFIX = "qs_"
RANDOM_BYTES = 32
ADMIN_TOKEN = "admin_token"  # noqa: S105 (the name of a setting)
RESERVED_NAMES = frozenset({ADMIN_TOKEN, "everybody"})
"""Who asks is shown by name: these two are not tokens of the table."""

_DIGITS = string.digits + string.ascii_letters
_LENGTH = 43
"""62 ** 43 is more than 2 ** 256."""

FOREVER = 2**63 - 1
SECOND = 1_000_000
LISTED = 100

TargetsWord = Literal["internal", "public", "allowlist"]
TokenName = Annotated[
    str,
    Meta(
        pattern=r"\A[A-Za-z0-9._-]{1,64}\Z",
        description="Shown wherever it says who asked.",
        extra={"expected": "1 to 64 of letters, digits and the characters . _ -"},
    ),
]
Scopes = Annotated[
    tuple[Right, ...],
    Meta(
        min_length=1,
        max_length=len(Right),
        description="What it may do.",
        extra={"expected": f"a list of some of {', '.join(Right)}"},
    ),
]
Contexts = Annotated[
    tuple[Annotated[str, Meta(max_length=255, pattern=NO_CONTROLS)], ...],
    Meta(
        min_length=1,
        max_length=LISTED,
        description="Only jobs of these contexts are its business.",
        extra={"expected": f"a list of 1 to {LISTED} contexts"},
    ),
]
Queues = Annotated[
    tuple[QueueName, ...],
    Meta(
        min_length=1,
        max_length=LISTED,
        description="Only jobs of these queues are its business.",
        extra={"expected": f"a list of 1 to {LISTED} names of queues"},
    ),
]
Targets = Annotated[
    tuple[Annotated[str, Meta(min_length=1, max_length=255, pattern=r"\A[^\s,]*\Z")], ...],
    Meta(
        max_length=LISTED,
        extra={"expected": f"a list of at most {LISTED} networks, hosts or .suffixes, each with :port if wanted"},
    ),
]
TimeToLive = Annotated[
    float,
    Meta(
        ge=1,
        le=10 * YEAR_S,
        description="Seconds after which it is no longer valid.",
        extra={"expected": "seconds, from 1 to 316224000 (ten years)"},
    ),
]


class TargetRules(NamedTuple):
    """Where http jobs of a token may go, in the words of the settings, which go on to hold.

    Without `http_targets` they may go to what is allowed, if something is, else wherever the settings let them.
    """

    http_targets: TargetsWord | None = None
    http_allow: tuple[str, ...] = ()
    http_deny: tuple[str, ...] = ()


class TokenRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A token as a client asks for it."""

    name: TokenName
    scopes: Scopes = (Right.ADD, Right.READ)
    contexts: Contexts | None = None
    queues: Queues | None = None
    http_targets: TargetsWord | None = None
    http_allow: Targets = ()
    http_deny: Targets = ()
    ttl: TimeToLive | None = None
    expires_at: Instant | None = None


class NewToken(msgspec.Struct, frozen=True, kw_only=True):
    """A token to be stored. `contexts` and `queues` bind it to such jobs, None is all; `targets` None adds no rules."""

    name: str
    digest: bytes
    scopes: tuple[Right, ...]
    created_at: int
    contexts: tuple[str, ...] | None = None
    queues: tuple[str, ...] | None = None
    targets: TargetRules | None = None
    expires_at: int | None = None


class TokenState(StrEnum):
    """Whether a token works."""

    ACTIVE = "active"
    EXPIRED = "expired"
    REVOKED = "revoked"


class Token(NewToken, frozen=True, kw_only=True):
    """A stored token. The text before the last rotation, with `old_digest`, works until `old_until`."""

    id: int
    old_digest: bytes | None = None
    old_until: int | None = None
    revoked_at: int | None = None
    last_used_at: int | None = None

    def state(self, now: int) -> TokenState:
        """Whether it works at that time."""
        if self.revoked_at is not None:
            return TokenState.REVOKED
        return TokenState.ACTIVE if now < self.until else TokenState.EXPIRED

    @property
    def until(self) -> int:
        """When it expires, revoked or not."""
        return FOREVER if self.expires_at is None else self.expires_at

    @property
    def access(self) -> Access:
        """What whoever shows it may do."""
        return Access(
            name=self.name,
            scopes=held(self.scopes),
            contexts=None if self.contexts is None else frozenset(self.contexts),
            queues=None if self.queues is None else frozenset(self.queues),
            token_id=self.id,
        )


def token_text(random: bytes) -> str:
    """The text of a token made of RANDOM_BYTES: one word, which a double click selects whole."""
    number = int.from_bytes(random)
    digits: list[str] = []
    for _ in range(_LENGTH):
        number, digit = divmod(number, len(_DIGITS))
        digits.append(_DIGITS[digit])
    return PREFIX + "".join(reversed(digits))


def digest_of(text: bytes) -> bytes:
    """What is kept of a text."""
    return sha256(text).digest()


def new_token(request: TokenRequest, digest: bytes, now: int) -> NewToken:
    """The token that is asked for; InvalidJob with all that is wrong with the request."""
    if problems := [*_problems(request, now)]:
        raise InvalidJob(problems)
    rules = TargetRules(request.http_targets, request.http_allow, request.http_deny)
    return NewToken(
        name=request.name,
        digest=digest,
        scopes=tuple(dict.fromkeys(request.scopes)),
        created_at=now,
        contexts=request.contexts,
        queues=request.queues,
        targets=None if rules == TargetRules() else rules,
        expires_at=_expiry(request, now),
    )


def _problems(request: TokenRequest, now: int) -> Iterator[Problem]:
    if re.fullmatch("[0-9]+", request.name):
        yield Problem("/name", "must not be a number, which would be taken for an id")
    if request.name in RESERVED_NAMES:
        yield Problem("/name", "is taken: that is how requests without a token of this list are called")
    if Right.ADMIN in request.scopes:
        yield from _limits_of_admin(request)
    for member in ("http_allow", "http_deny"):
        yield from _item_problems(member, getattr(request, member))
    yield from _expiry_problems(request, now)


def _item_problems(member: str, items: Sequence[str]) -> Iterator[Problem]:
    for place, item in enumerate(items):
        try:
            read_item(item)
        except ValueError as error:
            yield Problem(f"/{member}/{place}", str(error))


def _limits_of_admin(request: TokenRequest) -> Iterator[Problem]:
    for name in ("contexts", "queues", "http_targets", "http_allow", "http_deny"):
        if getattr(request, name):
            yield Problem(f"/{name}", "can't limit a token with scope admin, which can make itself one without limits")


def _expiry_problems(request: TokenRequest, now: int) -> Iterator[Problem]:
    if request.expires_at is not None and request.ttl is not None:
        yield Problem("/ttl", "and expires_at exclude each other")
        return
    try:
        expiry = _expiry(request, now)
    except (ValueError, OverflowError):
        yield Problem("/expires_at", "must be an RFC 3339 time such as 2026-11-24T09:30:00Z")
        return
    if expiry is not None and expiry <= now:
        yield Problem("/expires_at", "is over already")


def _expiry(request: TokenRequest, now: int) -> int | None:
    if request.ttl is not None:
        return now + round(request.ttl * SECOND)
    return None if request.expires_at is None else parse_instant(request.expires_at)
