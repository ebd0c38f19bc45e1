"""The secrets that are kept under names. They stay sealed in memory; only keys that sign are kept open."""

from collections.abc import Iterable, Sequence

from queue_server.domain.errors import SecretUnavailable
from queue_server.domain.secret import KeptSecret, place_of
from queue_server.vault.sealing import Vault
from queue_server.vault.signing import FOR_EVER, SigningKey, signing_bytes

DEFAULT_SIGNING = "default"
"""The signing secret of this name signs all requests."""


class Kept:
    """What the executors and the sealing of jobs know of kept secrets. `replace` brings it up to date."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._values: dict[str, KeptSecret] = {}
        self.signing: Sequence[SigningKey] = ()

    def replace(self, secrets: Iterable[KeptSecret]) -> list[str]:
        """Take these for all that there are. Signing secrets that can't be opened are left out; why, in sentences."""
        rows = [*secrets]
        self._values = {row.name: row for row in rows if row.kind == "value"}
        complaints: list[str] = []
        found: list[SigningKey] = []
        for row in rows:
            if row.kind == "signing" and row.name == DEFAULT_SIGNING:
                try:
                    secret = signing_bytes(self._vault.open(row.sealed, place_of(row.kind, row.name)))
                    found += [SigningKey(secret, FOR_EVER if row.until is None else row.until)] if secret else []
                except SecretUnavailable as error:
                    complaints.append(f"the signing secret {row.name!r} can't be used: {error}")
        self.signing = tuple(reversed(found))
        return complaints

    def seal(self, text: str, place: str) -> str:
        """See Sealer."""
        return self._vault.seal(text, place)

    def open(self, sealed: str, place: str) -> str:
        """See Sealer."""
        return self._vault.open(sealed, place)

    def knows(self, name: str) -> bool:
        """See Sealer."""
        return name in self._values

    def value(self, name: str) -> str:
        """The text of a secret; SecretUnavailable if there is none of this name, or its key is not there."""
        row = self._values.get(name)
        if row is None:
            raise SecretUnavailable(f"there is no secret {name!r}; it has been deleted")
        return self._vault.open(row.sealed, place_of("value", name))
