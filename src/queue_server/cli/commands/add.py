"""`add`: a job from a URL, a command or a file; many from stdin."""

import os
from typing import Any

import click

from queue_server.cli.client import Api, Server
from queue_server.cli.compose import JobOptions, exec_job, refuse, url_job
from queue_server.cli.exits import CommandError, Exit
from queue_server.cli.job_columns import job_shape
from queue_server.cli.options import DURATION, Format, output_option, server_option
from queue_server.cli.printers import printer
from queue_server.cli.terminal import say, say_error
from queue_server.cli.waiting import Patience, sentence, wait_for
from queue_server.clock import SystemClock

AFTER_DASHES = "queue_server.after_dashes"
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

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """The four ways to call it."""
        return ["[OPTIONS]", "URL | -- COMMAND... | @FILE | -"]


@click.command("add", cls=AddCommand)
@click.argument("target", nargs=-1)
@click.option("-X", "--method", type=click.Choice(METHODS, case_sensitive=False), help="Method of the request.")
@click.option("--param", "params", multiple=True, metavar="NAME=VALUE", help="Parameter of the request; repeatable.")
@click.option("-H", "--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="Header; repeatable.")
@click.option("--json", metavar="JSON", help="JSON body of the request.")
@click.option("--body", metavar="TEXT", help="Body of the request.")
@click.option("--timeout", type=DURATION, help="Time limit of an attempt, such as 20 or 5m.")
@click.option("--priority", type=click.IntRange(0, 1000), help="Higher runs earlier.")
@click.option("--context", metavar="TEXT", help="Your label for such jobs, such as the app's name.")
@click.option("--delay", type=DURATION, help="Run it after this time, such as 90 or 12h.")
@click.option("--run-at", metavar="TIME", help="Run it at this time, such as 2026-11-24T09:30:00Z.")
@click.option("--max-attempts", type=click.IntRange(1, 1000), help="Try so often until it succeeds.")
@click.option("--callback-done", metavar="URL", help="Request this when the job has ended.")
@click.option("--callback-failed", metavar="URL", help="Request this instead when the job has failed.")
@click.option("--wait", is_flag=True, help="Wait until the job has ended; exit 10 if it failed.")
@output_option("id", "table", "json", "ndjson", default="id")
@server_option
@click.pass_context
def command(
    ctx: click.Context, target: tuple[str, ...], wait: bool, output: Format, server: Server, **options: Any
) -> Exit:
    """Add a job, and print its id.

    \b
      add https://example.com/mails          request a URL
      add -- convert in.png out.png          run a command on the server, without a shell
      add @job.json                          the job as JSON, from a file
      add - < jobs.ndjson                    many jobs from stdin, one JSON object a line
    """
    if target == ("-",) and AFTER_DASHES not in ctx.meta:
        from queue_server.cli.add_many import add_many

        refuse(JobOptions(**options), list(options), "can't be combined with -: the lines say all about their jobs")
        if wait:
            raise click.UsageError("--wait can't be combined with -.")
        return add_many(server, output)
    job = _job(target, ctx.meta.get(AFTER_DASHES), JobOptions(**options))
    with Api(server) as api:
        return _add(api, job, output, wait=wait)


def _job(target: tuple[str, ...], arguments: list[str] | None, options: JobOptions) -> bytes:
    """The job that the command line describes, as JSON."""
    match target, arguments:
        case (), [_, *_]:
            return exec_job(arguments, options)
        case (str(path),), None if path.startswith("@"):
            refuse(options, JobOptions.__struct_fields__, "can't be combined with @FILE: the file says it all")
            return _read(path[1:])
        case (str(url),), None if url.startswith(("http://", "https://")):
            return url_job(url, options)
        case (str(word), *_), None:
            raise click.UsageError(
                f"{word!r} is no URL (http://… or https://…). "
                "To run a command, put two dashes before it: add -- COMMAND"
            )
        case (_, *_), _:
            raise click.UsageError("Give a URL or a command after --, not both.")
        case _:
            raise click.UsageError("Give a URL, -- and a command, @FILE, or - for stdin.")


def _add(api: Api, job: bytes, form: Format, *, wait: bool) -> Exit:
    """Add the job and print it: its id at once, anything else when it need not be waited for any more."""
    raw = api.add(job)
    job_id = api.read(raw, _Added).id
    if wait and form == "id":
        _print(raw, form)
    if not wait:
        _print(raw, form)
        return Exit.OK
    raw, ended = wait_for(api, job_id, Patience(SystemClock(), None))
    if form != "id":
        _print(raw, form)
    if ended.has_failed:
        say_error(sentence(ended))
        return Exit.JOB_FAILED
    say(sentence(ended))
    return Exit.OK
