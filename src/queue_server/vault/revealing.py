"""Putting the secrets of a job back in their places, at the moment when it is sent."""

import base64
import json
from collections.abc import Sequence
from typing import TypeVar
from urllib.parse import quote, quote_plus, unquote

import msgspec

from queue_server.domain.checks import HEADER_RULE, fits_argument, fits_header
from queue_server.domain.command import ExecCommand, HttpCommand
from queue_server.domain.errors import SecretUnavailable
from queue_server.domain.hiding import URL, Sealed, changed
from queue_server.domain.outcome import Outcome
from queue_server.domain.secret import MASK, Secret
from queue_server.vault.kept import Kept
from queue_server.vault.sealing import Vault
from queue_server.vault.signing import SigningKey

C = TypeVar("C", HttpCommand, ExecCommand)
COMMAND = "/command"

SHORTEST_MASKED = 4
"""Characters of a secret that is looked for in an error: shorter ones are in every sentence."""


class Revealed(msgspec.Struct, frozen=True):
    """The texts that were put into a command."""

    texts: Sequence[str] = ()

    def __repr__(self) -> str:
        return f"Revealed({len(self.texts)})"

    def hidden_in(self, outcome: Outcome) -> Outcome:
        """The outcome without these texts in its error. What a target answers is its output, and stays as it came."""
        if outcome.error is None or not self.texts:
            return outcome
        error = outcome.error
        for form in sorted({form for text in self.texts for form in _forms(text)}, key=len, reverse=True):
            error = error.replace(form, MASK)
        return msgspec.structs.replace(outcome, error=error)


NOTHING = Revealed()


class Revealer:
    """Opens what is sealed in a job."""

    def __init__(self, vault: Vault, kept: Kept) -> None:
        self._vault = vault
        self._kept = kept

    @property
    def signing(self) -> Sequence[SigningKey]:
        """The keys that sign requests."""
        return self._kept.signing

    def reveal(self, command: C, sealed: Sealed) -> tuple[C, Revealed]:
        """The command with all its texts; SecretUnavailable, with a sentence, if one can't be had or does not fit."""
        texts: list[str] = []

        def text_of(place: str, secret: Secret) -> str:
            whole = self._text(place, secret, sealed, texts)
            _check(place, whole)
            return whole

        return changed(command, text_of), Revealed(texts)

    def _text(self, place: str, secret: Secret, sealed: Sealed, texts: list[str]) -> str:
        if secret.secret_ref is not None:
            texts.append(self._kept.value(secret.secret_ref))
            return secret.prefix + texts[-1]
        text = self._vault.open(sealed.get(COMMAND + place, ""), place)
        texts += [text, *map(unquote, text.partition(":")[::2])] if place == URL else [text]
        return text


def _check(place: str, text: str) -> None:
    """A secret that is kept was not looked at when the job was added."""
    if place.startswith("/headers/") and not fits_header(text):
        raise SecretUnavailable(f"the secret in {place} {HEADER_RULE}")
    if place.startswith("/env/") and not fits_argument(f"{place}={text}"):
        raise SecretUnavailable(f"the secret in {place} can't be in a variable: it is too long, or has a NUL character")


def _forms(text: str) -> list[str]:
    """How the text may stand in an error."""
    if len(text) < SHORTEST_MASKED:
        return []
    escaped = json.dumps(text)[1:-1]
    encoded = base64.b64encode(text.encode()).decode()
    return [text, quote(text, safe=""), quote_plus(text), escaped, encoded]
