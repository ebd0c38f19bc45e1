"""The secrets that are kept under names: putting, listing and deleting them, and sealing them anew.

They are sealed here and never leave opened, but for a new signing secret, which its maker is told once.
"""

import asyncio
from collections.abc import Sequence

import msgspec

from queue_server.clock import Clock
from queue_server.domain.errors import Conflict, InvalidJob, Problem
from queue_server.domain.secret import KeptSecret, Kind, place_of
from queue_server.store.keeping import NewSecret, SecretStore
from queue_server.telemetry.logs import Log
from queue_server.vault.kept import Kept
from queue_server.vault.sealing import Vault
from queue_server.vault.signing import LEAST_BYTES, MOST_BYTES, PREFIX, new_signing_secret, signing_bytes

SECOND = 1_000_000


class Made(msgspec.Struct, frozen=True):
    """A signing secret that has just been made, with its text."""

    secret: KeptSecret
    text: str

    def __repr__(self) -> str:
        return f"Made({self.secret})"


class Secrets:
    """What may be asked of kept secrets. `load` it before the first job runs."""

    def __init__(self, store: SecretStore, vault: Vault, kept: Kept, clock: Clock, log: Log) -> None:
        self._store = store
        self._vault = vault
        self._kept = kept
        self._clock = clock
        self._log = log
        self._changing = asyncio.Lock()
        self._complaints: Sequence[str] = ()

    async def load(self) -> Sequence[KeptSecret]:
        """Have all that seals, opens and signs know of what is stored now."""
        secrets = await self._store.secrets()
        complaints = self._kept.replace(secrets)
        for complaint in complaints:
            if complaint not in self._complaints:  # it reads again and again where nodes share a store
                self._log.error(complaint)
        self._complaints = complaints
        return secrets

    async def reload(self) -> None:
        """Load what another node may have changed. After a StoreError all is as it was."""
        async with self._changing:
            await self.load()

    async def list(self) -> Sequence[KeptSecret]:
        """The secrets that are in force, by name and age."""
        now = self._clock.now()
        found = [one for one in await self._store.secrets() if one.until is None or one.until > now]
        return sorted(found, key=lambda one: (one.name, one.id))

    async def put(self, name: str, text: str, kind: Kind) -> tuple[KeptSecret, bool]:
        """Keep a text under a name, at once instead of what was there; and whether the name is new.

        InvalidJob if it is no signing secret but should be; Conflict if the name belongs to the other kind.
        """
        if kind == "signing" and signing_bytes(text) is None:
            rule = f"is no signing secret: {PREFIX} and {LEAST_BYTES} to {MOST_BYTES} bytes in base64"
            raise InvalidJob([Problem("/value", rule)])
        async with self._changing:
            names = await self._names(name, kind)
            return await self._put(name, text, kind, overlap=0.0), name not in names

    async def create_signing(self, name: str) -> Made:
        """Make a signing secret; Conflict if the name is taken."""
        async with self._changing:
            if name in await self._names(name, "signing"):
                raise Conflict(f"there is a signing secret {name!r} already; rotate it, or delete it first")
            text = new_signing_secret()
            return Made(await self._put(name, text, "signing", overlap=0.0), text)

    async def rotate(self, name: str, overlap: float) -> Made | None:
        """Make a new signing secret beside the one that is there, which signs for `overlap` seconds more.

        None if there is no signing secret of this name.
        """
        async with self._changing:
            if name not in {one.name for one in await self.list() if one.kind == "signing"}:
                return None
            text = new_signing_secret()
            return Made(await self._put(name, text, "signing", overlap=overlap), text)

    async def delete(self, name: str) -> bool:
        """Forget a secret; whether there was one."""
        async with self._changing:
            counts = [await self._store.delete_secret(kind, name) for kind in ("value", "signing")]
            await self.load()
            return any(counts)

    async def rekey(self) -> tuple[int, str]:
        """Seal all with the newest key; how many, and the key's id. SecretUnavailable if one can't be opened."""
        async with self._changing:
            places = {one: place_of(one.kind, one.name) for one in await self._store.secrets()}
            sealed = {
                one.id: self._vault.seal(self._vault.open(one.sealed, place), place) for one, place in places.items()
            }
            await self._store.reseal_secrets(sealed)
            await self.load()
            return len(sealed), self._vault.newest_id

    async def _names(self, name: str, kind: Kind) -> set[str]:
        """The names of a kind; Conflict if the name belongs to the other one."""
        found = await self.list()
        if name in {one.name for one in found if one.kind != kind}:
            other = "is for signing" if kind == "value" else "is a value"
            raise Conflict(f"the secret {name!r} {other}; delete it first, or take another name")
        return {one.name for one in found}

    async def _put(self, name: str, text: str, kind: Kind, *, overlap: float) -> KeptSecret:
        now = self._clock.now()
        new = NewSecret(
            name=name,
            kind=kind,
            sealed=self._vault.seal(text, place_of(kind, name)),
            created_at=now,
            old_until=now + round(overlap * SECOND),
        )
        secret_id = await self._store.put_secret(new)
        await self.load()
        return KeptSecret(secret_id, name, kind, new.sealed, now)
