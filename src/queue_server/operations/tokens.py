"""API tokens: making and ending them, and telling at each request who shows one.

All tokens are kept in memory, found by the digest of their text, so that `check` costs a request about a microsecond.
When a token was last used is remembered there too and written once in a while, never by the request itself.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from hmac import compare_digest

import msgspec

from queue_server.clock import Clock
from queue_server.domain.access import Access, Right, held
from queue_server.domain.errors import Conflict, InvalidSetting, StoreError
from queue_server.domain.tokens import (
    ADMIN_TOKEN,
    FOREVER,
    RANDOM_BYTES,
    SECOND,
    TargetRules,
    Token,
    TokenRequest,
    TokenState,
    digest_of,
    new_token,
    token_text,
)
from queue_server.store.keeping import TokenStore

WRITE_EVERY_S = 60.0
SHORTEST_ADMIN_TOKEN = 16
SHOWN_KEPT = 1000

WOULD_LOCK = (
    "this is the last token with scope admin, and other machines can reach this server: without one nobody could "
    "manage tokens any more; create another one first"
)


class Made(msgspec.Struct, frozen=True):
    """A token and its text, which is known at this moment only."""

    token: Token
    text: str


class _Known(msgspec.Struct, frozen=True):
    """A text that works until a time. `token_id` is 0 for the one from the settings."""

    digest: bytes
    until: int
    access: Access
    token_id: int


class Tokens:
    """The registry of a process. `load` it before the first `check`.

    `is_loopback` tells whether only this machine can connect: then the last token may be revoked.
    """

    def __init__(
        self,
        store: TokenStore,
        clock: Clock,
        random_bytes: Callable[[int], bytes],
        *,
        admin_token: str = "",
        is_loopback: Callable[[], bool],
    ) -> None:
        self._store = store
        self._clock = clock
        self._random_bytes = random_bytes
        self._is_loopback = is_loopback
        self._of_settings = _of_settings(admin_token)
        self._tokens: dict[int, Token] = {}
        self._known: Mapping[bytes, _Known] = self._of_settings
        self._has_any = bool(self._of_settings)
        self._shown: dict[bytes, _Known] = {}
        self._used: dict[int, int] = {}
        self._written: dict[int, int] = {}
        self._changing = asyncio.Lock()

    def check(self, text: bytes, now: int) -> Access | None:
        """What whoever shows this text may do; None if it is no token's, or the token has expired or is revoked.

        How long it takes tells nothing of a token: what is looked up and compared is a digest. Measured on 2026-11-24:
        0.8 µs.
        """
        digest = sha256(text).digest()
        known = self._known.get(digest)
        if known is None or not compare_digest(known.digest, digest) or known.until <= now:
            return None
        if known.token_id:
            self._used[known.token_id] = now
        return known.access

    def recall(self, shown: bytes, now: int) -> Access | None:
        """What `check` has said of the token in a header that was shown before (see `remember`), if it still works.

        Saves finding the token and its digest: 0.3 µs. A look-up tells nothing of the headers that are remembered:
        Python's hash of bytes is keyed (SipHash), and compares them only where all 64 bits agree.
        """
        known = self._shown.get(shown)
        if known is None or known.until <= now:
            return None
        if known.token_id:
            self._used[known.token_id] = now
        return known.access

    def remember(self, shown: bytes, text: bytes) -> None:
        """Have `recall` know the header in which a token with this text was shown, until tokens change."""
        known = self._known.get(sha256(text).digest())
        if known is not None:
            if len(self._shown) >= SHOWN_KEPT:
                self._shown.clear()
            self._shown[shown] = known

    @property
    def has_any(self) -> bool:
        """Whether the server asks for a token: there is one that has not been revoked, or one in the settings.

        One that has expired counts: time alone must lock a server rather than open it.
        """
        return self._has_any

    def lets_anybody_in(self, now: int) -> bool:
        """Whether there is a token that works now."""
        return any(known.until > now for known in self._known.values())

    async def load(self) -> None:
        """Read all tokens, also those that another node has made or changed. After a StoreError all is as it was."""
        async with self._changing:
            self._take(await self._store.tokens())

    async def flush(self) -> None:
        """Write which tokens were used since the last time; what can't be written now is tried the next time."""
        fresh = {token_id: at for token_id, at in self._used.items() if self._written.get(token_id) != at}
        if not fresh:
            return
        try:
            await self._store.note_used(fresh)
        except StoreError:
            return
        self._written.update(fresh)

    async def keep_writing(self, every_s: float = WRITE_EVERY_S) -> None:
        """Flush again and again, until cancelled."""
        while True:
            await asyncio.sleep(every_s)
            await self.flush()

    async def create(self, request: TokenRequest) -> Made:
        """Make a token; InvalidJob if it can't be like this, Conflict if there is one of that name."""
        text = token_text(self._random_bytes(RANDOM_BYTES))
        token = new_token(request, digest_of(text.encode()), self._clock.now())
        async with self._changing:
            token_id = await self._store.add_token(token)
            if token_id is None:
                raise Conflict(f"there is a token named {request.name} already; revoke it first", "/name")
            self._take(await self._store.tokens())
        return Made(self._tokens[token_id], text)

    async def rotate(self, token_id: int, overlap_s: float) -> Made | None:
        """Give a token another text; the one it had goes on working so long. None if there is no such token."""
        text = token_text(self._random_bytes(RANDOM_BYTES))
        async with self._changing:
            token = self._tokens.get(token_id)
            if token is None:
                return None
            now = self._clock.now()
            state = token.state(now)
            until = now + round(overlap_s * SECOND)
            is_done = state is TokenState.ACTIVE and await self._store.rotate_token(
                token_id, digest_of(text.encode()), until
            )
            self._take(await self._store.tokens())
        if not is_done:
            raise Conflict(f"token {token_id} ({token.name}) is no longer active; create another one")
        return Made(self._tokens[token_id], text)

    async def revoke(self, token_id: int) -> Token | None:
        """End a token at once; None if there is no such token. One that was revoked before stays so.

        Conflict where other machines can connect and nobody could manage tokens any more.
        """
        async with self._changing:
            token = self._tokens.get(token_id)
            if token is None:
                return None
            self._refuse_last(token)
            await self._store.revoke_token(token_id, self._clock.now())
            self._take(await self._store.tokens())
        return self._tokens[token_id]

    def get(self, token_id: int) -> Token | None:
        """One token, or None."""
        token = self._tokens.get(token_id)
        return None if token is None else self._with_use(token)

    def list(self) -> Sequence[Token]:
        """Every token, also revoked ones, newest first."""
        return [self._with_use(token) for token in reversed(self._tokens.values())]

    def rules_of(self, token_id: int) -> TargetRules | None:
        """Where http jobs of a token, which may be revoked by now, may go; None if it adds nothing to the settings."""
        token = self._tokens.get(token_id)
        return None if token is None else token.targets

    def _take(self, tokens: Sequence[Token]) -> None:
        self._tokens = {token.id: token for token in tokens}
        in_force = [token for token in tokens if token.revoked_at is None]
        known = [text for token in in_force for text in _texts(token)]
        self._shown = {}
        self._known = {**{text.digest: text for text in known}, **self._of_settings}
        self._has_any = bool(self._of_settings or in_force)

    def _with_use(self, token: Token) -> Token:
        used = self._used.get(token.id)
        return token if used is None else msgspec.structs.replace(token, last_used_at=used)

    def _refuse_last(self, token: Token) -> None:
        """Conflict if the server needs this token."""
        if self._of_settings or self._is_loopback():
            return
        now = self._clock.now()
        others = [one for one in self._tokens.values() if one.id != token.id]
        if _administers(token, now) and not any(_administers(one, now) for one in others):
            raise Conflict(WOULD_LOCK)


def _of_settings(admin_token: str) -> Mapping[bytes, _Known]:
    """The token of the settings, if there is one; InvalidSetting, without its text, if it is unfit."""
    if not admin_token:
        return {}
    if len(admin_token) < SHORTEST_ADMIN_TOKEN:
        raise InvalidSetting(
            f"{ADMIN_TOKEN} must have at least {SHORTEST_ADMIN_TOKEN} characters, better 40 random ones"
        )
    if not (admin_token.isascii() and admin_token.isprintable() and " " not in admin_token):
        raise InvalidSetting(f"{ADMIN_TOKEN} must be visible ASCII without blanks, so that a header can carry it")
    digest = digest_of(admin_token.encode())
    access = Access(name=ADMIN_TOKEN, scopes=held((Right.ADMIN,)))
    return {digest: _Known(digest, FOREVER, access, 0)}


def _texts(token: Token) -> Sequence[_Known]:
    access = token.access
    current = _Known(token.digest, token.until, access, token.id)
    if token.old_digest is None or token.old_until is None:
        return (current,)
    return (_Known(token.old_digest, min(token.old_until, token.until), access, token.id), current)


def _administers(token: Token, now: int) -> bool:
    return Right.ADMIN in token.scopes and token.state(now) is TokenState.ACTIVE
