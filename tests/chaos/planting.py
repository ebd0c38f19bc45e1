"""Servers with a planted bug: for canaries, which show that a test of faults would notice it."""

import sys
from collections.abc import Callable, MutableMapping

from tests.chaos.load import ROOT


def planted(*bugs: Callable[[], None]) -> tuple[str, ...]:
    """A program that is Queue Server, but plants bugs first: functions of a module."""
    lines = [f"import sys; sys.path.insert(0, {str(ROOT)!r})"]
    for bug in bugs:
        lines += [f"from {bug.__module__} import {bug.__name__}", f"{bug.__name__}()"]
    lines += ["from queue_server.cli.main import run", "run()"]
    return (sys.executable, "-c", "\n".join(lines))


def break_query(queries: MutableMapping[str, str], query: str, sound: str, broken: str) -> None:
    """Replace a part of a named query."""
    text = queries[query]
    assert sound in text, f"the query {query} has changed: plant the bug anew"
    queries[query] = text.replace(sound, broken)
