"""`token`: who may ask the server, and for what."""

import re
import sys
from typing import TYPE_CHECKING, Any

import click

from queue_server.cli.exits import CommandError, Exit
from queue_server.cli.job_options import deadline
from queue_server.cli.options import DURATION, Format, output_option
from queue_server.cli.printers import print_json, printer
from queue_server.cli.tables import print_facts
from queue_server.cli.terminal import is_terminal, say
from queue_server.cli.token_places import Place, place_of, place_options
from queue_server.clock import SystemClock

if TYPE_CHECKING:
    from queue_server.cli.token_columns import TokenItem

NO_ADMIN = (
    "no token has scope admin yet: with this one alone the server's tokens can't be managed while it runs; "
    "make one with --scope admin"
)


@click.group("token")
def command() -> None:
    """Make, list, rotate and revoke API tokens.

    A server asks for a token as soon as there is one, and always where other machines can reach it.

    They are managed at the server, or, while none is running, in its database: so the first token can be made
    before the server starts.

    \b
    Keep the text in a variable:
      TOKEN=$(queue-server token create --name ops --scope admin)
    """  # noqa: D301 (click's mark, an escape: keep these lines)


@command.command("create")
@click.option("--name", required=True, help="What it is called: letters, digits and . _ -")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    metavar="SCOPE,...",
    help="What it may do: add, add:exec, read, read:output, manage, admin; add,read by default.",
)
@click.option("--context", "contexts", multiple=True, metavar="CONTEXT", help="Only jobs of this context. Repeatable.")
@click.option("--queue", "queues", multiple=True, metavar="QUEUE", help="Only jobs of this queue. Repeatable.")
@click.option("--expires", metavar="DURATION|TIME", help="When it ends by itself, such as 90d.")
@click.option("--http-targets", help="Where its http jobs may go: internal, public or allowlist.")
@click.option("--http-allow", multiple=True, metavar="TARGET,...", help="Targets that its http jobs may go to.")
@click.option("--http-deny", multiple=True, metavar="TARGET,...", help="Targets that its http jobs may not go to.")
@place_options
def create(*, server: Any, db: str | None, config: str | None, **options: Any) -> None:
    """Make a token. Its text is printed to stdout, this once."""
    with place_of(server, db, config) as place:
        token = place.create(_request(options))
        print(token.token)
        say(f"{_named(token)} may {', '.join(token.scopes)}; its text is not shown again")
        _warn_of_no_admin(place, token)


@command.command("list")
@click.option("--revoked", is_flag=True, help="Also those that have been revoked.")
@output_option("table", "json", "ndjson", "id")
@place_options
def list_(*, revoked: bool, output: Format, server: Any, db: str | None, config: str | None) -> None:
    """List tokens, the newest first."""
    from queue_server.cli.token_columns import token_shape

    count = 0
    with place_of(server, db, config) as place:
        out = printer(output, token_shape(SystemClock()))
        for token in place.tokens(revoked=revoked):
            out.add(token.raw)
            count += 1
        out.close()
    if output == "table" and count == 0 and is_terminal(sys.stderr):
        say("there are no tokens")


@command.command("show")
@click.argument("token", metavar="ID|NAME")
@output_option("table", "json", "ndjson")
@place_options
def show(*, token: str, output: Format, server: Any, db: str | None, config: str | None) -> None:
    """Show all about one token but its text, which nobody knows."""
    from queue_server.cli.token_columns import token_facts

    with place_of(server, db, config) as place:
        found = _find(place, token)
    if output == "table":
        print_facts(token_facts(found))
    else:
        print_json(found.raw, output)


@command.command("revoke")
@click.argument("token", metavar="ID|NAME")
@place_options
def revoke(*, token: str, server: Any, db: str | None, config: str | None) -> None:
    """End a token at once."""
    with place_of(server, db, config) as place:
        found = _find(place, token)
        place.revoke(found.id)
    say(f"{_named(found)} is revoked")


@command.command("rotate")
@click.argument("token", metavar="ID|NAME")
@click.option(
    "--overlap",
    type=DURATION,
    default="1d",
    show_default=True,
    help="How long the text that it had goes on working; 0 ends it at once.",
)
@place_options
def rotate(*, token: str, overlap: float, server: Any, db: str | None, config: str | None) -> None:
    """Give a token another text, which is printed to stdout, this once."""
    with place_of(server, db, config) as place:
        found = place.rotate(_find(place, token).id, overlap)
    print(found.token)
    until = f"until {found.old_until:%Y-%m-%d %H:%M:%S} UTC" if overlap and found.old_until else "no longer"
    say(f"{_named(found)} has a new text, which is not shown again; the one before works {until}")


def _request(options: dict[str, Any]) -> dict[str, Any]:
    """The members of a token that these options name."""
    expires = options.pop("expires")
    for name in ("scopes", "http_allow", "http_deny"):
        options[name] = [word for text in options[name] for word in re.split(r"[,\s]+", text) if word]
    members = {name: value for name, value in options.items() if value}
    if expires is None:
        return members
    end = deadline(expires)
    return {**members, "expires_at" if isinstance(end, str) else "ttl": end}


def _find(place: Place, token: str) -> "TokenItem":
    """The token with this id, or else the one that is not revoked with this name."""
    if token.isascii() and token.isdigit():
        return place.get(int(token))
    for found in place.tokens(revoked=False):
        if found.name == token:
            return found
    raise CommandError(f"there is no token named {token!r}", Exit.NOT_FOUND)


def _named(token: "TokenItem") -> str:
    return f"token {token.id} ({token.name})"


def _warn_of_no_admin(place: Place, made: "TokenItem") -> None:
    """Tell of the trap that a server asks for tokens from the first one on."""
    if "admin" in made.scopes or place.has_other_admin:
        return
    from queue_server.client.errors import NotAuthorised

    try:
        has_admin = any("admin" in token.scopes and token.state == "active" for token in place.tokens(revoked=False))
    except NotAuthorised:  # the server asks for a token since there is this one
        has_admin = False
    if not has_admin:
        say(NO_ADMIN)
