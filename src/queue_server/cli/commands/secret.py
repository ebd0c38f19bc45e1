"""`secret`: texts that jobs have by their names, and what requests are signed with."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from queue_server.cli.client import connect
from queue_server.cli.human import age
from queue_server.cli.options import DURATION, Format, output_option, server_option
from queue_server.cli.printers import Shape, printer
from queue_server.cli.tables import Column
from queue_server.cli.terminal import is_terminal, say
from queue_server.client import KeptSecret
from queue_server.client.address import Address
from queue_server.clock import Clock, SystemClock

SIGNING = "default"


@click.group("secret")
def command() -> None:
    """Keep secrets for jobs, and sign requests. No secret is ever shown again.

    \b
    Keep one, and have a job send it:
      queue-server secret set api < api-token.txt
      queue-server add '{"command": {"type": "http", "url": "https://example.com",
        "headers": {"Authorization": {"secret_ref": "api", "prefix": "Bearer "}}}}'

    \b
    Sign all requests (https://www.standardwebhooks.com):
      queue-server secret create-signing
    """  # noqa: D301 (click's mark, an escape: keep these lines)


@command.command("set")
@click.argument("name")
@click.option(
    "--from-file",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The file with the secret; stdin without it.",
)
@click.option("--signing", is_flag=True, help="It is a signing secret (whsec_…) that somebody else has made.")
@server_option
def set_(*, name: str, file: Path | None, signing: bool, server: Address) -> None:
    """Keep a secret under NAME. It is read from stdin or a file, less a line end, never from the command line."""
    text = _text(file)
    with connect(server) as client:
        secret = client.put_secret(name, text, kind="signing" if signing else "value")
    say(f"secret {secret.name} is kept")


@command.command("list")
@output_option("table", "json", "ndjson")
@server_option
def list_(*, output: Format, server: Address) -> None:
    """List the secrets, without their texts."""
    with connect(server) as client:
        secrets = client.secrets()
    out = printer(output, _shape(SystemClock()))
    for secret in secrets:
        out.add(secret.raw)
    out.close()
    if output == "table" and not secrets and is_terminal(sys.stderr):
        say("there are no secrets")


@command.command("delete")
@click.argument("name")
@server_option
def delete(*, name: str, server: Address) -> None:
    """Forget a secret. Jobs that have it by its name fail from then on."""
    with connect(server) as client:
        client.delete_secret(name)
    say(f"secret {name} is gone")


@command.command("create-signing")
@click.argument("name", default=SIGNING)
@server_option
def create_signing(*, name: str, server: Address) -> None:
    """Make a signing secret, which is printed to stdout, this once. The one called `default` signs all requests."""
    with connect(server) as client:
        secret = client.create_signing_secret(name)
    print(secret.secret)
    say(f"signing secret {secret.name} is made; its text is not shown again")


@command.command("rotate")
@click.argument("name", default=SIGNING)
@click.option(
    "--overlap",
    type=DURATION,
    default="1d",
    show_default=True,
    help="How long the one before signs as well; 0 ends it at once.",
)
@server_option
def rotate(*, name: str, overlap: float, server: Address) -> None:
    """Replace a signing secret by a new one, which is printed to stdout, this once."""
    with connect(server) as client:
        secret = client.rotate_signing_secret(name, overlap=overlap)
    print(secret.secret)
    say(f"signing secret {secret.name} is new; its text is not shown again")


@command.command("rekey")
@server_option
def rekey(*, server: Address) -> None:
    """Seal all kept secrets with the newest key of the setting secret_key."""
    with connect(server) as client:
        done = client.rekey_secrets()
    say(f"{done.resealed} secrets are sealed with key {done.key_id}")


def _text(file: Path | None) -> str:
    if file is None and is_terminal(sys.stdin):
        return click.prompt("Secret", hide_input=True, err=True)
    try:
        content = sys.stdin.buffer.read() if file is None else file.read_bytes()
        text = content.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise click.UsageError("The secret is not UTF-8; encode it, in base64 for example.") from None
    except OSError as error:
        raise click.UsageError(f"{file} can't be read: {error.strerror}.") from None
    if not text:
        raise click.UsageError("The secret is empty.")
    return text


def _shape(clock: Clock) -> Shape[KeptSecret]:
    """Secrets as rows; ages are those at this moment."""
    now = datetime.fromtimestamp(clock.now() / 1_000_000, UTC)
    columns = (
        Column[KeptSecret]("name", lambda it: it.name, lambda _: "bold"),
        Column[KeptSecret]("kind", lambda it: it.kind),
        Column[KeptSecret]("age", lambda it: age(it.created_at, now), lambda _: "dim", justify="right"),
        Column[KeptSecret]("until", lambda it: "" if it.until is None else f"{it.until:%Y-%m-%d %H:%M:%S}"),
    )
    return Shape(KeptSecret, columns)
