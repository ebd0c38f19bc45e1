"""`wait`: until jobs have ended."""

import click

from queue_server.cli.client import connect
from queue_server.cli.exits import Exit
from queue_server.cli.job_columns import job_shape
from queue_server.cli.options import DURATION, JOB_ID, Format, output_option, server_option
from queue_server.cli.printers import printer
from queue_server.cli.terminal import say_error
from queue_server.cli.waiting import RETRY_FOR_S, Patience, sentence, wait_for
from queue_server.client.address import Address
from queue_server.clock import SystemClock


@click.command("wait")
@click.argument("job_ids", metavar="ID...", type=JOB_ID, nargs=-1, required=True)
@click.option("--timeout", type=DURATION, help="Give up after this time, such as 90 or 5m; exit 7.")
@output_option("table", "json", "ndjson", "id")
@server_option
def command(job_ids: tuple[int, ...], timeout: float | None, output: Format, server: Address) -> Exit:
    """Wait until all these jobs have ended, and print them. Exit 10 if one failed or was cancelled."""
    patience = Patience(SystemClock(), timeout)
    out = printer(output, job_shape(SystemClock()))
    failed: list[str] = []
    with connect(server, retry_for=RETRY_FOR_S) as client:
        try:
            for job_id in job_ids:
                job = wait_for(client, job_id, patience)
                out.add(job.raw)
                failed += [sentence(job)] if job.has_failed else []
        finally:
            out.close()
    for line in failed:
        say_error(line)
    return Exit.JOB_FAILED if failed else Exit.OK
