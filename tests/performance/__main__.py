"""`python -m tests.performance`: runs the benchmark and prints the report."""

import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import msgspec

from tests.performance import databases
from tests.performance.children import BenchmarkError
from tests.performance.facts import machine_facts
from tests.performance.figures import Figure
from tests.performance.load import LoadGenerator
from tests.performance.measures import measure_empty, measure_full
from tests.performance.options import Options, read_options
from tests.performance.progress import Progress
from tests.performance.report import as_data, console, print_report
from tests.performance.stage import Bench
from tests.performance.target import running_target

BROKEN, INTERRUPTED = 1, 130


def main() -> int:
    """Measure and report; the exit code is 0 unless something broke."""
    options = read_options()
    signal.signal(signal.SIGTERM, interrupt)
    figures: list[Figure] = []
    facts: dict[str, str] = {}
    code = 0
    try:
        with temporary_folder() as folder:
            load = LoadGenerator(options.generator, folder)
            facts |= machine_facts(folder, load.name, options.server_command)
            figures.extend(measure(options, folder, load))
    except (BenchmarkError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        code = BROKEN
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        code = INTERRUPTED
    report(options, figures, facts)
    return code


def measure(options: Options, folder: Path, load: LoadGenerator) -> Iterator[Figure]:
    with (
        databases.dropped_at_the_end(options.db),
        Progress(parts(options)) as progress,
        running_target(folder) as target,
    ):
        bench = Bench(options, folder, target, load, progress)
        yield from measure_empty(bench)
        if options.backlog:
            yield from measure_full(bench)


def parts(options: Options) -> int:
    """How many times the progress bar advances."""
    return len(options.sections) * (2 if options.backlog else 1) + bool(options.backlog)


def report(options: Options, figures: list[Figure], facts: dict[str, str]) -> None:
    """Print what was measured, also when not all was."""
    on_stdout = options.json == Path("-")
    print_report(console(stderr=on_stdout), figures, facts)
    if not options.json:
        return
    text = msgspec.json.format(msgspec.json.encode(as_data(figures, facts))) + b"\n"
    if on_stdout:
        sys.stdout.buffer.write(text)
    else:
        options.json.write_bytes(text)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder on the disk of the working directory (a temporary one may be in memory), then removed."""
    build = Path.cwd() / "build"
    build.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=build) as folder:
        yield Path(folder)


def interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
