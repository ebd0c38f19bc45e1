"""What a terminal is told, and whether there is one."""

import os
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console

_ESCAPES = {
    **{code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))},
    ord("\t"): "\\t",
    ord("\n"): "\\n",
    ord("\r"): "\\r",
    **{code: f"\\u{code:04x}" for code in (0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A))},
}
"""Control characters and those that turn the writing direction: a job's texts come from strangers."""


def is_terminal(stream: TextIO) -> bool:
    """Whether a person looks at the stream."""
    return stream.isatty()


def has_colour(stream: TextIO) -> bool:
    """Whether colours may be written to the stream: a terminal that has them, no NO_COLOR (no-color.org)."""
    return is_terminal(stream) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def console(stream: TextIO) -> "Console":
    """A rich console that writes texts as they are: no markup, no highlighting, no emoji codes."""
    from rich.console import Console

    return Console(
        file=stream,
        color_system="auto" if has_colour(stream) else None,
        markup=False,
        highlight=False,
        emoji=False,
    )


def printable(text: str) -> str:
    """The text on one line, with control characters made visible, so that it can't steer the terminal."""
    return text.translate(_ESCAPES)


def say(message: str) -> None:
    """Tell the user something that is not data, on stderr."""
    print(message, file=sys.stderr, flush=True)


def say_error(message: str) -> None:
    """Tell the user what went wrong, on stderr; further lines are indented under the first."""
    lines = [printable(line) for line in message.splitlines()] or [""]
    prefix = "\x1b[1;31merror:\x1b[0m" if has_colour(sys.stderr) else "error:"
    say("\n".join([f"{prefix} {lines[0]}", *(f"  {line}" for line in lines[1:])]))
