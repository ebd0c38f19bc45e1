"""`add`: a job from a URL, a command or a file; many from stdin."""

from pathlib import Path
from typing import Any

import click

from queue_server.cli.client import connect
from queue_server.cli.compose import JobOptions, exec_job, named_job, refuse, url_job
from queue_server.cli.exits import CommandError, Exit
from queue_server.cli.job_columns import job_shape
from queue_server.cli.job_options import job_options
from queue_server.cli.options import DURATION, HEADER_TEXT, PAIR, Format, output_option, server_option
from queue_server.cli.printers import print_json, printer
from queue_server.cli.waiting import RETRY_FOR_S, Patience, report, wait_for
from queue_server.client import Client, Job
from queue_server.client.address import Address
from queue_server.clock import SystemClock

AFTER_DASHES = "queue_server.after_dashes"
NO_URL = "is no URL (http://… or https://…). To run a command, put two dashes before it: add -- COMMAND"
BUSY_S = 3.0
"""So long a server that is busy, or a connection that breaks, is given another try: a person sits there."""
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class AddCommand(click.Command):
    """Keeps what follows `--` apart: it is a command, and its options are its own."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse what comes before the dashes."""
        if "--" in args:
            dashes = args.index("--")
            ctx.meta[AFTER_DASHES] = args[dashes + 1 :]
            args = args[:dashes]
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's signature)
        """The five ways to call it."""
        return ["[OPTIONS]", "URL | -- COMMAND... | --named NAME | @FILE | -"]


@click.command("add", cls=AddCommand)
@click.argument("target", nargs=-1)
@click.option(
    "-X",
    "--method",
    metavar="METHOD",
    type=click.Choice(METHODS, case_sensitive=False),
    help="Method of the request.",
)
@click.option("--param", "params", multiple=True, metavar="NAME=VALUE", help="Parameter of the request; repeatable.")
@click.option("-H", "--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="Header; repeatable.")
@click.option("--json", metavar="JSON", help="JSON body of the request.")
@click.option("--body", metavar="TEXT", help="Body of the request.")
@click.option("--timeout", type=DURATION, help="Time limit of an attempt, such as 20 or 5m.")
@click.option("--named", metavar="NAME", help="Run the command that the server's settings file has under this name.")
@click.option(
    "--argument",
    "arguments",
    multiple=True,
    metavar="NAME=VALUE",
    help="Its parameter, as a text, or NAME:=JSON for a number, true or false; repeatable.",
)
@click.option("--cwd", metavar="PATH", help="Folder that a command runs in.")
@click.option("--env", type=PAIR, multiple=True, metavar="NAME=VALUE", help="Variable of a command; repeatable.")
@job_options
@click.option("--max-attempts", type=click.IntRange(1, 1000), metavar="NUMBER", help="Try so often until it succeeds.")
@click.option("--retry-on", metavar="CODES", help="Only after these statuses or exit codes, such as 429,500-599.")
@click.option("--max-duration", type=DURATION, help="Try no more once so long has passed since the first attempt.")
@click.option("--callback-done", metavar="URL", help="Request this when the job has ended.")
@click.option("--callback-failed", metavar="URL", help="Request this instead when the job has failed.")
@click.option("--idempotency-key", type=HEADER_TEXT, help="The same key again adds no second job.")
@click.option("--wait", is_flag=True, help="Wait until the job has ended; exit 10 if it failed.")
@output_option("id", "table", "json", "ndjson", default="id")
@server_option
@click.pass_context
def command(
    ctx: click.Context,
    *,
    target: tuple[str, ...],
    idempotency_key: str | None,
    wait: bool,
    output: Format,
    server: Address,
    **options: Any,
) -> Exit:
    """Add a job, and print its id.

    \b
      add https://example.com/mails          request a URL
      add -- convert in.png out.png          run a command on the server, without a shell
      add --named thumbnail --argument size=100x100   run a command that the server knows
      add @job.json                          the job as JSON, from a file
      add - < jobs.ndjson                    many jobs from stdin, one JSON object a line
    """  # noqa: D301 (click's mark, an escape: keep these lines)
    wanted = JobOptions(**options)
    if target == ("-",) and AFTER_DASHES not in ctx.meta:
        _refuse_for_many(wanted, wait=wait, key=idempotency_key)
        return _add_many(output, server)
    job = _job(target, ctx.meta.get(AFTER_DASHES), wanted)
    with connect(server, retry_for=RETRY_FOR_S if wait else BUSY_S) as client:
        return _report(client, client.add(job, idempotency_key=idempotency_key), output, wait=wait)


def _refuse_for_many(options: JobOptions, *, wait: bool, key: str | None) -> None:
    refuse(options, "can't be combined with -: the lines say all about their jobs")
    if wait:
        raise click.UsageError("--wait can't be combined with -.")
    if key is not None:
        raise click.UsageError("--idempotency-key can't be combined with -: each line may have its own.")


def _add_many(form: Format, server: Address) -> Exit:
    from queue_server.cli.add_many import add_many

    return add_many(server, form)


def _job(target: tuple[str, ...], arguments: list[str] | None, options: JobOptions) -> bytes:
    """The job that the command line describes, as JSON."""
    match target, arguments:
        case (), None if options.named is not None:
            return named_job(options.named, options)
        case _ if options.named is not None:
            raise click.UsageError("--named can't be combined with a URL, a command or a file.")
        case (), [_, *_]:
            return exec_job(arguments, options)
        case (str(path),), None if path.startswith("@"):
            refuse(options, "can't be combined with @FILE: the file says it all")
            return _read(path[1:])
        case (str(url),), None if url.startswith(("http://", "https://")):
            return url_job(url, options)
        case (str(url), *_), None if url.startswith(("http://", "https://")):
            raise click.UsageError("Give one URL at a time, in quotes if it has spaces.")
        case (str(word), *_), None:
            raise click.UsageError(f"{word!r} {NO_URL}")
        case (_, *_), _:
            raise click.UsageError("Give a URL or a command after --, not both.")
        case _:
            raise click.UsageError("Give a URL, -- and a command, --named, @FILE, or - for stdin.")


def _report(client: Client, job: Job, form: Format, *, wait: bool) -> Exit:
    if not wait:
        _print(job, form)
        return Exit.OK
    if form == "id":
        _print(job, form)  # now: who waits may want to look at the job meanwhile
    ended = wait_for(client, job.id, Patience(SystemClock(), None))
    if form != "id":
        _print(ended, form)
    return report(ended)


def _print(job: Job, form: Format) -> None:
    if form == "json":
        print_json(job.raw, form)
        return
    out = printer(form, job_shape(SystemClock()))
    out.add(job.raw)
    out.close()


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise CommandError(f"can't read {path}: {error.strerror}", Exit.USAGE) from None
