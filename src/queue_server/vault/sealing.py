"""Sealing texts with AES-GCM: `1.KEYID.BASE64`, where the base64 is a fresh nonce, the ciphertext and its tag."""

import base64
import binascii
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from queue_server.domain.errors import SecretUnavailable
from queue_server.vault.keys import Keys

VERSION = "1"
NONCE_BYTES = 12
"""What NIST SP 800-38D section 8.2.2 has for random nonces: good for 2^32 texts of a key."""


class Vault:
    """Seals and opens. `place` says what a text is for: it can't be opened for anything else. Threads may share it."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    def seal(self, text: str, place: str) -> str:
        """The sealed text; SecretUnavailable if there is no key."""
        key = self._keys.newest()
        nonce = secrets.token_bytes(NONCE_BYTES)
        sealed = AESGCM(key.secret).encrypt(nonce, text.encode(), place.encode())
        return f"{VERSION}.{key.id}.{base64.b64encode(nonce + sealed).decode()}"

    def open(self, sealed: str, place: str) -> str:
        """The text; SecretUnavailable if its key is not there, or it was sealed for another place or was changed."""
        version, _, rest = sealed.partition(".")
        key_id, _, text = rest.partition(".")
        if version != VERSION:
            raise SecretUnavailable("a secret was sealed by another version of the server")
        key = self._keys.find(key_id)
        try:
            data = base64.b64decode(text, validate=True)
            return AESGCM(key.secret).decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], place.encode()).decode()
        except (InvalidTag, binascii.Error, ValueError):
            raise SecretUnavailable(f"a secret that key {key_id} sealed has been damaged or moved") from None

    @property
    def newest_id(self) -> str:
        """The id of the key that seals."""
        return self._keys.newest().id
