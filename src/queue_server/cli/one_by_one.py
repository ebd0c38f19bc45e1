"""Changing jobs that were named by their IDs: one that can't be changed does not stop the others."""

from collections.abc import Callable, Iterable

from queue_server.cli.exits import Exit, code_of
from queue_server.cli.job_columns import job_shape
from queue_server.cli.options import Format
from queue_server.cli.printers import printer
from queue_server.cli.terminal import say_error
from queue_server.client import Job, Refused
from queue_server.clock import SystemClock


def change_each(job_ids: Iterable[int], change: Callable[[int], Job | None], form: Format) -> Exit:
    """Change each job and print it as it is then. The exit code is that of the first that was refused."""
    out = printer(form, job_shape(SystemClock()))
    code = Exit.OK
    try:
        for job_id in job_ids:
            try:
                job = change(job_id)
            except Refused as error:
                say_error(_naming(job_id, str(error)))
                code = code or code_of(error)
            else:
                _ = job and out.add(job.raw)
    finally:
        out.close()
    return code


def _naming(job_id: int, message: str) -> str:
    return message if str(job_id) in message else f"job {job_id}: {message}"
