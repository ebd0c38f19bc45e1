"""`logs`: the output of a job."""

import sys

import click

from queue_server.cli.client import Api, Server
from queue_server.cli.options import JOB_ID, server_option
from queue_server.cli.terminal import say
from queue_server.cli.waiting import Patience, wait_for
from queue_server.clock import SystemClock


@click.command("logs")
@click.argument("job_id", metavar="ID", type=JOB_ID)
@click.option("-f", "--follow", is_flag=True, help="Wait until the job has ended.")
@click.option("--stderr", "stream", flag_value="stderr", help="What a command wrote to its stderr.")
@click.option("--head", "stream", flag_value="head", help="The status and headers of an HTTP answer.")
@click.option("--attempt", type=click.IntRange(min=1), metavar="N", help="Of this attempt; the last by default.")
@server_option
def command(*, job_id: int, follow: bool, stream: str | None, attempt: int | None, server: Server) -> None:
    """Print the output of a job: the body of the HTTP answer, or what the command wrote to stdout."""
    with Api(server) as api:
        if follow:
            wait_for(api, job_id, Patience(SystemClock(), None))
        else:
            _, job = api.job(job_id)
            if not job.is_final:
                say(f"job {job_id} is {job.state}; -f waits until it has ended")
        output = api.get(f"/v1/jobs/{job_id}/output", stream=stream or "output", attempt=attempt)
    sys.stdout.buffer.write(output)
