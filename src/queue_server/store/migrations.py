"""Numbered migrations: `0001_initial.sql`, `0002_….sql`, applied once each, in order, each in a transaction.

This module finds the files; the stores apply them, each with its own driver.
"""

import re
from collections.abc import Sequence
from importlib.resources import files

import msgspec

from queue_server.domain.errors import StoreRefused

_FILE = re.compile(r"\A(\d{4})_(\w+)\.sql\Z")


class Migration(msgspec.Struct, frozen=True):
    """One step of the schema. `number` counts from 1."""

    number: int
    name: str
    sql: str


def load_migrations(package: str) -> Sequence[Migration]:
    """The migrations in `package`, in order; their numbers have no gaps."""
    found = [
        Migration(int(match[1]), match[2], entry.read_text("utf-8"))
        for entry in files(package).iterdir()
        if (match := _FILE.match(entry.name))
    ]
    found.sort(key=lambda migration: migration.number)
    if [migration.number for migration in found] != list(range(1, len(found) + 1)):
        raise StoreRefused(f"the migrations of {package} are not numbered 1, 2, 3, …; reinstall Queue Server")
    return found


def pending(migrations: Sequence[Migration], version: int, where: str) -> Sequence[Migration]:
    """The migrations after `version`; StoreRefused when the database is from a newer Queue Server."""
    if version > len(migrations):
        raise StoreRefused(
            f"{where} has schema version {version}, this Queue Server knows up to {len(migrations)}; "
            "start the newer Queue Server that made it"
        )
    return migrations[version:]
