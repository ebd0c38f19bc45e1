"""`logs`: the output of a job."""

import sys

import click

from queue_server.cli.client import connect
from queue_server.cli.options import JOB_ID, SIZE, server_option
from queue_server.cli.terminal import say
from queue_server.cli.waiting import RETRY_FOR_S
from queue_server.client import Client
from queue_server.client.address import Address


@click.command("logs")
@click.argument("job_id", metavar="ID", type=JOB_ID)
@click.option("-f", "--follow", is_flag=True, help="Print it while it is written, until the job has ended.")
@click.option("--stderr", "stream", flag_value="stderr", help="What a command wrote to its stderr.")
@click.option("--head", "stream", flag_value="head", help="The status and headers of an HTTP answer.")
@click.option("--attempt", type=click.IntRange(min=1), metavar="N", help="Of this attempt; the last by default.")
@click.option("--tail", type=SIZE, help="Only its last bytes, such as 4096 or 64KiB.")
@server_option
def command(
    *, job_id: int, follow: bool, stream: str | None, attempt: int | None, tail: int | None, server: Address
) -> None:
    """Print the output of a job: the body of the HTTP answer, or what the command wrote to stdout.

    With -f it goes on to the next attempt when one fails and another follows.
    """
    if follow and tail is not None:
        raise click.UsageError("--tail can't be combined with -f: it follows from the start.")
    with connect(server, retry_for=RETRY_FOR_S if follow else 0.0) as client:
        if follow:
            for part in client.follow_output(job_id, stream=stream or "output", attempt=attempt):
                _write(part)
            return
        _tell_if_it_goes_on(client, job_id)
        start = -tail if tail else None
        _write(client.output(job_id, stream=stream or "output", attempt=attempt, start=start))


def _tell_if_it_goes_on(client: Client, job_id: int) -> None:
    job = client.get(job_id)
    if not job.is_final:
        say(f"job {job_id} is {job.state}; -f waits until it has ended")


def _write(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
