"""The options of the benchmark, and how much is measured with them."""

import argparse
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

SECTIONS = (
    "start",
    "lists",
    "cluster",
    "claims",
    "latency",
    "exec",
    "drain",
    "both",
    "waiting",
    "accepts",
    "guarded",
    "memory",
    "batch",
    "flood",
)
BACKLOG = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How much is measured. Work that lasts a time is given in seconds, work that has an end as a count."""

    rounds: int = 3
    accept_s: float = 2.0
    both_s: float = 10.0
    both_rounds: int = 1
    drain_jobs: int = 50_000
    exec_jobs: int = 2_000
    latency_samples: int = 500
    starts: int = 3
    list_jobs: int = 1_000_000
    list_pages: int = 10
    claim_backlog: int = 10_000_000
    claims: int = 1_000


QUICK = Scale(
    rounds=1,
    accept_s=1.0,
    both_s=3.0,
    drain_jobs=10_000,
    exec_jobs=300,
    latency_samples=150,
    starts=1,
    list_jobs=50_000,
    list_pages=2,
    claim_backlog=100_000,
    claims=200,
)


@dataclass(frozen=True, kw_only=True)
class Options:
    """What was asked for. `backlog` is 0 when nothing is to be measured beside a full queue."""

    scale: Scale
    sections: tuple[str, ...]
    backlog: int
    generator: str
    server_command: str
    slots: int
    json: Path | None
    db: str


def read_options(arguments: Sequence[str] | None = None) -> Options:
    """Read the command line; exits with a message when it is wrong."""
    parser = make_parser()
    given = parser.parse_args(arguments)
    sections = tuple(given.only.split(",")) if given.only else SECTIONS
    if unknown := set(sections) - set(SECTIONS):
        parser.error(f"--only knows {', '.join(SECTIONS)}; not {', '.join(sorted(unknown))}")
    if given.generator == "wrk" and not shutil.which("wrk"):
        parser.error("--generator wrk: wrk is not installed")
    million = not given.quick if given.million is None else given.million
    scale = QUICK if given.quick else Scale()
    return Options(
        scale=replace(scale, accept_s=given.seconds) if given.seconds else scale,
        sections=tuple(name for name in SECTIONS if name in sections),
        backlog=given.backlog if million else 0,
        generator=given.generator,
        server_command=given.server_command,
        slots=given.slots,
        json=given.json,
        db=given.db,
    )


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.performance",
        description="Measures the server in turns with bare limits of this machine and prints the ratios.",
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="a small version, under a minute, without the full queue")
    add("--only", metavar="A,B", help=f"measure only these: {', '.join(SECTIONS)}")
    add(
        "--json",
        nargs="?",
        const=Path("-"),
        type=Path,
        metavar="FILE",
        help="write all figures as JSON (default: stdout)",
    )
    add(
        "--million",
        action=argparse.BooleanOptionalAction,
        help="measure again beside a full queue (default: unless --quick)",
    )
    add(
        "--backlog",
        type=int,
        default=BACKLOG,
        metavar="N",
        help="how many jobs wait in the full queue (default %(default)s)",
    )
    add("--seconds", type=float, metavar="S", help="how long each accept measurement lasts")
    add(
        "--generator",
        choices=("auto", "wrk", "own"),
        default="auto",
        help="what makes the load (auto: wrk if it is installed)",
    )
    add(
        "--db",
        default="",
        metavar="URL",
        help="measure on a database server, such as postgresql://postgres@127.0.0.1:5432, instead of on files; "
        "databases are made there and dropped at the end",
    )
    add("--slots", type=int, default=100, metavar="N", help="job slots of the server (default %(default)s)")
    add(
        "--server-command",
        default="",
        metavar="COMMAND",
        help="how to run the server; the options of `serve` are appended unless it contains {port}, and then "
        "{db} is the database file and {slots} the number of job slots",
    )
    return parser
