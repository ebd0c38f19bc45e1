"""`backup`: a copy of the database while the server runs."""

import os
from pathlib import Path

import click

from queue_server.cli.exits import CommandError
from queue_server.cli.setting_options import config_option, setting_options
from queue_server.cli.terminal import say
from queue_server.config.load import load

TOOLS = {"p": "pg_dump", "m": "mariadb-dump --single-transaction (or mysqldump)"}
"""What copies other databases, by the first letter of their URLs."""


@click.command("backup")
@click.argument("target", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
@setting_options("db")
@config_option
def command(*, target: Path, force: bool, config: str | None, **flags: str | None) -> None:
    """Copy the database to the file TARGET while the server runs, and check the copy.

    It is a database of its own: start a server with --db sqlite:///TARGET, or put it in the old one's place.
    """
    settings = load(flags, os.environ, config=config).settings
    from queue_server.store.open import is_file, key_file, sqlite_path

    if not is_file(settings.db):
        raise CommandError(f"this database is copied by its own tools: {TOOLS[settings.db[0]]}")
    from queue_server.store.sqlite.backup import back_up

    size = back_up(sqlite_path(settings.db), target.absolute(), replace=force)
    say(f"{target} holds all jobs ({size:,} bytes), and has been checked")
    key = key_file(settings)
    if key.exists():
        say(f"the key that seals secrets is not in it; keep a copy of {key}, too, but elsewhere")
