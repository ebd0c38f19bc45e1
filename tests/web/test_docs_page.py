"""The page at /docs in a real browser."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.support.server import Server
from tests.support.tools import needs

CONSOLE = re.compile(r"CONSOLE:\d+\] (.*)")
BROWSER = (
    "chromium",
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--enable-logging=stderr",
    "--virtual-time-budget=10000",
    "--dump-dom",
)


@pytest.fixture
def show(server: Server, tmp_path: Path):
    """Shows a page: what it consists of in the end, and what the browser has to say of it.

    A request to anywhere else would be blocked by the page's Content-Security-Policy, and said.
    """

    def show(path: str) -> tuple[str, list[str]]:
        done = subprocess.run(
            (*BROWSER, f"--user-data-dir={tmp_path}", f"{server.url}{path}"),
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(tmp_path)},
        )
        return done.stdout, CONSOLE.findall(done.stderr)

    return show


@needs("chromium")
def test_page_shows_every_request_and_asks_nobody_else(server: Server, show):
    page, complaints = show("/docs#/jobs/addJob")
    assert complaints == []
    paths = set(re.findall(r'data-path="([^"]+)"', page))
    assert paths == set(server.get("/v1/openapi.json")["paths"])
    assert "https://example.com/mails?list=7" in page, "the example of the request that is opened"
