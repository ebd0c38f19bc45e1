"""`migrate`: the database's schema, brought up to date without starting a server."""

import os

import click

from queue_server.cli.setting_options import config_option, setting_options
from queue_server.cli.terminal import say
from queue_server.config.load import load


@click.command("migrate")
@setting_options("db")
@config_option
def command(config: str | None, **flags: str | None) -> None:
    """Bring the database's schema up to date, and print the migrations that were applied."""
    settings = load(flags, os.environ, config=config).settings
    from queue_server.store.open import migrate

    applied = migrate(settings)
    for name in applied:
        print(name)
    if not applied:
        say("the schema is up to date")
