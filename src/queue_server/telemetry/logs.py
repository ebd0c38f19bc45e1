"""The server's log: structlog events, rendered as lines for people or as JSON."""

import json
import logging
import sys
from collections.abc import Mapping, MutableMapping
from datetime import datetime
from typing import Any, Literal, TextIO

import msgspec
import structlog

from queue_server.clock import Clock
from queue_server.domain.instants import rfc3339
from queue_server.telemetry.sink import LineSink

Log = structlog.typing.FilteringBoundLogger

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
RESET, DIM, BOLD = "\x1b[0m", "\x1b[2m", "\x1b[1m"
COLOURS = {"debug": DIM, "info": "", "warning": "\x1b[33m", "error": "\x1b[31m"}

_encode = msgspec.json.Encoder(enc_hook=str).encode


class LogOutput:
    """Where log lines go and what they look like. `colour` is only true on a terminal."""

    def __init__(self, sink: LineSink, style: Literal["console", "json"], clock: Clock, *, colour: bool) -> None:
        self.sink = sink
        self.style = style
        self.colour = colour
        self._clock = clock
        self._second = -1
        self._text = ""
        self._utc_second = -1
        self._utc_text = ""

    def time_of_day(self) -> str:
        """The local time, for people."""
        second = self._clock.now() // 1_000_000
        if second != self._second:
            self._second = second
            self._text = datetime.fromtimestamp(second).astimezone().strftime("%H:%M:%S")
        return self._text

    def timestamp(self) -> str:
        """The time in UTC, for programs."""
        second, micro = divmod(self._clock.now(), 1_000_000)
        if second != self._utc_second:
            self._utc_second = second
            self._utc_text = (rfc3339(second * 1_000_000) or "")[:-8]
        return f"{self._utc_text}.{micro:06}Z"

    def write_json(self, level: str, event: str, fields: Mapping[str, Any]) -> None:
        """One JSON line."""
        self.sink.write(
            _escaped(_encode({"time": self.timestamp(), "level": level, "event": event, **fields}).decode())
        )

    def write_console(self, level: str, event: str, fields: Mapping[str, Any]) -> None:
        """One line for people: time, what, then name=value; a traceback follows on its own lines."""
        trace = fields.get("exception")
        pairs = "  ".join(f"{name}={printable(str(value))}" for name, value in fields.items() if name != "exception")
        shown = level.upper() + " " if level in ("warning", "error") else ""
        line = f"{self.paint(self.time_of_day(), DIM)}  {self.paint(shown + printable(event), COLOURS.get(level, ''))}"
        self.sink.write(line + (f"  {self.paint(pairs, DIM)}" if pairs else "") + (f"\n{trace}" if trace else ""))

    def paint(self, text: str, colour: str) -> str:
        """The text in a colour, where there are colours."""
        return f"{colour}{text}{RESET}" if self.colour and colour else text


def make_log(output: LogOutput, level: str) -> Log:
    """A logger that writes to `output` what is at least as important as `level`."""

    def render(_logger: Any, method: str, event: MutableMapping[str, Any]) -> str:
        what = str(event.pop("event", ""))
        name = "error" if method == "exception" else method
        write = output.write_json if output.style == "json" else output.write_console
        write(name, what, event)
        raise structlog.DropEvent

    return structlog.wrap_logger(
        None,
        processors=[structlog.processors.format_exc_info, render],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
    )


class _Forwarding(logging.Handler):
    """Hands the records of the standard library's logging on to a log of ours."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Tell one record."""
        tell = self._log.error if record.levelno >= logging.ERROR else self._log.warning
        tell(record.getMessage().strip(), logger=record.name, exc_info=record.exc_info)


def forward_library_logs(log: Log) -> None:
    """Let the warnings and errors of libraries (uvicorn, asyncio) be lines of our log, not text of their own."""
    logging.basicConfig(handlers=[_Forwarding(log)], level=logging.WARNING, force=True)


def open_output(
    style: Literal["console", "json"], clock: Clock, environ: Mapping[str, str], stream: TextIO | None = None
) -> LogOutput:
    """The output to stderr (or `stream`), coloured on a terminal unless NO_COLOR is set (no-color.org)."""
    target = stream or _own_stderr()
    colour = style == "console" and target.isatty() and not environ.get("NO_COLOR")
    return LogOutput(LineSink(target), style, clock, colour=colour)


def printable(text: str) -> str:
    """The text with control characters shown as such: what clients send must not steer the reader's terminal."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _escaped(text: str) -> str:
    """The same JSON, with escapes for unprintable characters: some of them end lines or steer terminals."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in text)


def _own_stderr() -> TextIO:
    """Stderr by a file object of our own, so that a stuck reader does not hang whoever else flushes sys.stderr."""
    return open(sys.stderr.fileno(), "w", encoding="utf-8", errors="backslashreplace", closefd=False)
