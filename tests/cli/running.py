"""Runs the command line as its own process, on pipes or on a terminal."""

import os
import pty
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

PROGRAM = (sys.executable, "-W", "error", "-m", "queue_server")
WITH_CTRL_C = ("setsid", "--ctty")
"""Makes the terminal on stdin the one whose Ctrl-C the program hears."""


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


@dataclass(frozen=True)
class CommandLine:
    """`folder` is the home and the working directory; nothing of the tester's environment of ours is seen."""

    folder: Path
    url: str = "http://127.0.0.1:9"

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        ours = {"HOME": str(self.folder), "QUEUE_SERVER_URL": self.url, "TERM": "xterm-256color"}
        return {**kept, **ours, **(extra or {})}

    def __call__(self, *arguments: str, stdin: bytes = b"", **environ: str) -> Ran:
        done = subprocess.run(
            (*PROGRAM, *arguments),
            input=stdin,
            capture_output=True,
            cwd=self.folder,
            env=self.environment(environ),
            timeout=30,
            check=False,
        )
        return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())

    def start(self, *arguments: str, **environ: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            (*PROGRAM, *arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.folder,
            env=self.environment(environ),
        )

    def on_terminal(
        self,
        *arguments: str,
        stdin: bytes = b"",
        typed: Mapping[str, bytes] | None = None,
        width: int = 120,
        **environ: str,
    ) -> Ran:
        """The same with stdout and stderr on one terminal; all that it shows is in `out`.

        With `typed` stdin is the terminal, too: the bytes are typed when the text before them has been shown.
        """
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            (*(WITH_CTRL_C if typed else ()), *PROGRAM, *arguments),
            stdin=subprocess.PIPE if typed is None else theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=self.folder,
            env=self.environment({"COLUMNS": str(width), "LINES": "40", **environ}),
        )
        os.close(theirs)
        if process.stdin is not None:
            process.stdin.write(stdin)
            process.stdin.close()
        shown = _read_all(ours, dict(typed or {}))
        return Ran(process.wait(30), shown.decode().replace("\r\n", "\n"), "")


def _read_all(terminal: int, typed: dict[str, bytes]) -> bytes:
    shown = b""
    with os.fdopen(terminal, "r+b", buffering=0) as file:
        while True:
            try:
                part = file.read(65536)
            except OSError:  # Linux: the other end is closed
                return shown
            if not part:
                return shown
            shown += part
            for text in [text for text in typed if text.encode() in shown]:
                file.write(typed.pop(text))
