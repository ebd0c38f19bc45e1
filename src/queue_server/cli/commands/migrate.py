"""`migrate`: the schema brought up to date without starting a server, or a whole store moved into another database."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click
import msgspec

from queue_server.cli.setting_options import config_option, setting_options
from queue_server.cli.tables import Column, print_table
from queue_server.cli.terminal import say
from queue_server.config.load import load
from queue_server.config.settings import Settings

if TYPE_CHECKING:
    from queue_server.moving.move import Moved


@click.command("migrate")
@click.option("--from", "source", metavar="URL", help="Move all jobs out of this database…")
@click.option("--to", "target", metavar="URL", help="…into this one. Both are written as --db is.")
@setting_options("db")
@config_option
def command(*, source: str | None, target: str | None, config: str | None, **flags: str | None) -> None:
    """Bring the database's schema up to date, and print the migrations that were applied.

    With --from and --to: move a whole store (jobs of all states, outputs, keys, tokens, secrets, audit log) into an
    empty database, while no server runs on either. A move that was cut off goes on when it is run again.
    """
    if (source is None) != (target is None):
        raise click.UsageError("--from and --to belong together.")
    if source is not None and flags["db"] is not None:
        raise click.UsageError(
            "--db names the one database whose schema is brought up to date; --from and --to name two."
        )
    if source is not None and target is not None:
        _move(source, target)
        return
    settings = load(flags, os.environ, config=config).settings
    from queue_server.store.open import migrate

    applied = migrate(settings)
    for name in applied:
        print(name)
    if not applied:
        say("the schema is up to date")


def _move(source: str, target: str) -> None:
    import asyncio

    moved = asyncio.run(_moved(source, target))
    columns = (
        Column["Moved"]("table", lambda it: it.table),
        Column["Moved"]("moved", lambda it: str(it.total - it.left), justify="right"),
        Column["Moved"]("left", lambda it: str(it.left or ""), justify="right"),
        Column["Moved"]("why", lambda it: it.reason, fit="wrap"),
    )
    print_table(moved, columns)
    say("all is moved, and counted")
    _tell_of_key(source, target)


async def _moved(source: str, target: str) -> "Sequence[Moved]":
    from contextlib import AsyncExitStack

    from queue_server.cli.moving_bar import moving_bar
    from queue_server.moving.move import move
    from queue_server.store.open_moving import open_export, open_import

    async with AsyncExitStack() as stack:
        exporting = await open_export(source)
        stack.push_async_callback(exporting.close)
        importing = await open_import(target)
        stack.push_async_callback(importing.close)
        bar = stack.enter_context(moving_bar())
        return await move(exporting, importing, bar.show)


def _tell_of_key(source: str, target: str) -> None:
    """Secrets arrive as they were sealed: the new server needs the key."""
    from queue_server.store.open import key_file

    old, new = (key_file(msgspec.structs.replace(Settings(), db=db)) for db in (source, target))
    if old.exists() and old != new:
        say(f"secrets stay sealed: the new server needs the key in {old} as {new}, or in the setting secret_key")
