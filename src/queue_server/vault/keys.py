"""The server's keys. Each has an id, made of it, that stands before everything that it has sealed."""

import base64
import binascii
import hashlib
import os
import secrets
import stat
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from queue_server.domain.errors import CannotStart, InvalidSetting, SecretUnavailable

KEY_BYTES = 32
"""AES-256."""

OTHERS = stat.S_IRWXG | stat.S_IRWXO


class Key(msgspec.Struct, frozen=True):
    """A key of 32 bytes."""

    id: str
    secret: bytes

    def __repr__(self) -> str:
        return f"Key({self.id})"


class Keys:
    """The keys of the setting, newest first, and behind them the one in the file, which is made at first need.

    Threads may share it.
    """

    def __init__(self, setting: str, file: Path) -> None:
        self._given = keys_of(setting)
        self._file = file
        self._lock = threading.Lock()
        self._own = read_key(file)

    def newest(self) -> Key:
        """The key to seal with; SecretUnavailable if there is none and its file can't be made."""
        if self._given:
            return self._given[0]
        with self._lock:
            if self._own is None:
                self._own = make_key(self._file)
            return self._own

    def find(self, key_id: str) -> Key:
        """The key with this id; SecretUnavailable, naming it, if it is not there."""
        with self._lock:
            if self._own is None:
                self._own = read_key(self._file)  # another process may have made it
        for key in (*self._given, *([self._own] if self._own else ())):
            if key.id == key_id:
                return key
        raise SecretUnavailable(
            f"the key {key_id}, with which this secret was sealed, is not there (setting secret_key, file {self._file})"
        )


def keys_of(setting: str) -> Sequence[Key]:
    """The keys that the setting lists; InvalidSetting, which never tells a key, if one is none."""
    words = setting.replace(",", " ").split()
    found: list[Key] = []
    for number, word in enumerate(words, start=1):
        secret = _decoded(word)
        if secret is None or len(secret) != KEY_BYTES:
            which = f"key {number} of {len(words)}" if len(words) > 1 else "its key"
            raise InvalidSetting(f"secret_key: {which} is not 32 bytes as base64 or hex, as `openssl rand -base64 32`")
        found.append(_key(secret))
    return found


def read_key(file: Path) -> Key | None:
    """The key in the file, None if there is no file; CannotStart if others may read it, or it holds no key."""
    try:
        with file.open("rb") as opened:
            mode, text = os.fstat(opened.fileno()).st_mode, opened.read(1024)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CannotStart(f"the key file {file} can't be read: {error.strerror}") from None
    if mode & OTHERS:
        raise CannotStart(f"others may read the key file {file}; chmod 600 it")
    secret = _decoded(text.decode("ascii", "replace").strip())
    if secret is None or len(secret) != KEY_BYTES:
        raise CannotStart(f"the key file {file} holds no key of 32 bytes as base64; restore it from a backup")
    return _key(secret)


def make_key(file: Path) -> Key:
    """Write a new key to the file, which is whole and durable when it appears; the one in it if there is one now."""
    part = file.with_name(f"{file.name}.{secrets.token_hex(8)}")
    try:
        _write(part, base64.b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n")
        try:
            with suppress(FileExistsError):
                os.link(part, file)
            _sync_folder(file.parent)
        finally:
            part.unlink(missing_ok=True)
        key = read_key(file)
    except OSError as error:
        raise SecretUnavailable(f"the key file {file} can't be made: {error.strerror}") from None
    except CannotStart as error:
        raise SecretUnavailable(str(error)) from None
    if key is None:
        raise SecretUnavailable(f"the key file {file} has vanished")
    return key


def _key(secret: bytes) -> Key:
    return Key(hashlib.blake2b(secret, digest_size=4, person=b"qs key id").hexdigest(), secret)


def _decoded(word: str) -> bytes | None:
    with suppress(ValueError):
        return bytes.fromhex(word)
    with suppress(binascii.Error, ValueError):
        return base64.b64decode(word.translate(str.maketrans("-_", "+/")) + "=" * (-len(word) % 4), validate=True)
    return None


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as opened:
        opened.write(content)
        opened.flush()
        os.fsync(opened.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
