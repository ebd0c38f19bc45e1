"""`add -`: the lines of stdin as jobs."""

import asyncio
import sys
from typing import BinaryIO

from queue_server.cli.exits import CommandError, Exit, code_of
from queue_server.cli.job_columns import job_shape
from queue_server.cli.options import Format
from queue_server.cli.printers import Printer, printer
from queue_server.cli.progress import Meter, meter
from queue_server.cli.sending import PARALLEL, Sent, send_lines, stops_all
from queue_server.cli.terminal import say_error
from queue_server.client import ClientError
from queue_server.client.address import Address
from queue_server.clock import SystemClock


def add_many(server: Address, form: Format) -> Exit:
    """Add the jobs and print them in the order of their lines. A refused line does not stop the others."""
    out = printer(form, job_shape(SystemClock()))
    file = _stdin()
    with meter(file) as bar:
        report = Report(out, bar)
        try:
            asyncio.run(send_lines(server, file, report.tell))
        except* (CommandError, OSError) as group:
            report.end = group.exceptions[0]
    out.close()
    if report.end:
        raise report.end
    return Exit.FAILED if report.refused else Exit.OK


def _stdin() -> BinaryIO:
    """Stdin as a file of its own, never closed: the thread that reads it may stay and hold its lock."""
    if sys.stdin is None:
        raise CommandError("stdin is closed", Exit.USAGE)
    return open(sys.stdin.fileno(), "rb", closefd=False)


class Report:
    """Prints what became of each line and counts."""

    def __init__(self, out: Printer, bar: Meter) -> None:
        self._out = out
        self._bar = bar
        self._added = 0
        self.refused = 0
        self.end: Exception | None = None

    def tell(self, sent: Sent) -> None:
        """Print the job, or what is wrong with it; CommandError if it makes no sense to go on."""
        match sent.result:
            case ClientError() as error if stops_all(error):
                raise self._stop(sent.line, error)
            case ClientError() as error:
                self.refused += 1
                say_error(f"line {sent.line}: {error}")
            case job:
                self._added += 1
                self._out.add(job.raw)
        self._bar.advance(sent.size, failed=isinstance(sent.result, ClientError))

    def _stop(self, line: int, error: ClientError) -> CommandError:
        rest = f"{self._added} added so far; up to {PARALLEL} of the lines from {line} on may have been, too"
        return CommandError(f"line {line}: {error}\n{rest}", code_of(error))
