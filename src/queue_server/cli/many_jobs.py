"""Changing all jobs that filters match: counted, asked about, and watched to the end."""

import sys
from collections.abc import Callable

import msgspec

from queue_server.cli.exits import CommandError, Exit
from queue_server.cli.operation_bar import operation_bar
from queue_server.cli.operation_columns import operation_facts
from queue_server.cli.options import Format
from queue_server.cli.printers import print_json
from queue_server.cli.selection import Selection, confirm
from queue_server.cli.tables import Fact, print_facts
from queue_server.cli.terminal import is_terminal, say
from queue_server.client import Client, Matched, Operation, StillGoingOn

LOOK_EVERY_S = 0.2


def change_many(
    client: Client, selection: Selection, verb: str, start: Callable[[bool], Matched], form: Format
) -> Exit:
    """Change the jobs that `start` matches, told whether it is only to count them; print what was done."""
    counted = start(True)
    if selection.dry_run:
        print_count(counted.matched, form)
        return Exit.OK
    if not counted.matched:
        say("no jobs match")
        return Exit.OK
    if not selection.yes:
        confirm(question(verb, counted.matched))
    operation = start(False).operation
    if operation is None:
        raise CommandError("the server did not say which operation it started")
    return finish(client, operation, form)


def question(verb: str, count: int) -> str:
    """The question to a person, such as `cancel 1,204 jobs?`."""
    return f"{verb} {count:,} {'job' if count == 1 else 'jobs'}?"


def print_count(count: int, form: Format) -> None:
    """How many jobs match."""
    if form == "table":
        print_facts([Fact("matched", str(count))])
    else:
        print_json(msgspec.json.encode({"matched": count, "dry_run": True}), form)


def finish(client: Client, operation: Operation, form: Format) -> Exit:
    """Wait until the operation has ended, and print it."""
    try:
        with operation_bar(operation) as bar:
            while not operation.is_final:
                operation = look(client, operation)
                bar.show(operation)
    except KeyboardInterrupt:
        say(f"operation {operation.id} goes on; to stop it: queue-server operations cancel {operation.id}")
        raise
    if form == "table":
        print_facts(operation_facts(operation))
    else:
        print_json(operation.raw, form)
    if operation.state == "completed":
        return Exit.OK
    raise CommandError(
        f"operation {operation.id} {operation.state}" + (f": {operation.error}" if operation.error else "")
    )


def look(client: Client, operation: Operation) -> Operation:
    """The operation in a moment, or as soon as it has ended; a person sees it move."""
    try:
        return client.wait_operation(operation.id, LOOK_EVERY_S if is_terminal(sys.stderr) else None)
    except StillGoingOn as still:
        return still.last if isinstance(still.last, Operation) else operation
