"""PHP's own web server with one script, which gets every request."""

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.support.raw import connect
from tests.support.server import free_port
from tests.support.waiting import until

LOGGED = ("-d", "error_reporting=-1", "-d", "display_errors=0", "-d", "log_errors=1", "-d", "html_errors=0")
"""As in production: errors go to the log only, and those that end the script are answered with 500."""


class WebServer:
    """Where it is, and what it has logged."""

    def __init__(self, port: int, log_file: Path) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}/"
        self._log_file = log_file

    @property
    def log(self) -> str:
        return self._log_file.read_text("utf-8", "replace")


@contextmanager
def web_server(script: Path, *flags: str, environ: Mapping[str, str] | None = None) -> Iterator[WebServer]:
    """The web server, ended with the block. It takes requests one after the other."""
    port = free_port()
    served = WebServer(port, script.with_suffix(".log"))
    command = ["php", *LOGGED, *flags, "-S", f"127.0.0.1:{port}", script.name]
    with script.with_suffix(".log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=script.parent, env=environ)
    try:
        until(lambda: _listens(port), 20, f"PHP's web server ({served.log})")
        yield served
    finally:
        process.kill()
        process.wait(20)


def _listens(port: int) -> bool:
    try:
        connect(port, 1).close()
    except OSError:
        return False
    return True
