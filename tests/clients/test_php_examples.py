"""The examples of the PHP client, as they are, against the real server; and what its README says."""

import os
import re
from pathlib import Path

import pytest

from tests.clients.conftest import Maker
from tests.clients.php import CLIENT, FOLDER, run
from tests.clients.web_server import web_server
from tests.support.server import Server
from tests.support.target import Reply, Target
from tests.support.tools import needs
from tests.support.waiting import until

pytestmark = needs("php")

EXAMPLES = FOLDER / "examples"
README = (FOLDER / "README.md").read_text()


@pytest.fixture
def environ(server: Server) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "QUEUE_SERVER_URL": server.url}


def test_each_file_is_valid_php() -> None:
    files = [CLIENT, *EXAMPLES.glob("*.php")]
    assert len(files) == 5
    for file in files:
        done = run(file, "-l")
        assert (done.returncode, done.stderr) == (0, ""), done.stdout


def test_add_and_wait(server: Server, target: Target, path: str, environ: dict[str, str]) -> None:
    target.on(path, Reply(503), Reply(200, b"3 mails"))
    done = run(EXAMPLES / "add_and_wait.php", arguments=[target.url + path], environ=environ)
    assert re.fullmatch(r"Job \d+ is added.\nIt has completed with 200:\n3 mails\n", done.stdout), done
    assert target.of(path)[0].query == [("mailing", "1234")]


def test_add_and_wait_shows_what_is_wrong(environ: dict[str, str]) -> None:
    done = run(EXAMPLES / "add_and_wait.php", arguments=["nowhere"], environ=environ)
    assert done.returncode == 2
    assert done.stdout.startswith("/command/url ")


def test_add_many(server: Server, target: Target, path: str, environ: dict[str, str]) -> None:
    lines = "".join(f"person{number}@example.com\n" for number in range(200))
    done = run(EXAMPLES / "add_many.php", arguments=[target.url + path], given=lines, environ=environ)
    assert done.stdout == "200 jobs are added.\n200 have completed, 0 have failed.\n", done
    recipients = {request.json["recipient"] for request in target.of(path)}
    assert recipients == set(lines.split())


@pytest.fixture
def handler(tmp_path: Path) -> Path:
    """The example, in a folder of its own, with a line in the log when it has ended."""
    code = (EXAMPLES / "handler.php").read_text()
    script = tmp_path / "handler.php"
    script.write_text(code.replace("__DIR__ . '/../", f"'{FOLDER}/") + "error_log('over');")
    return script


def test_handler(server: Server, handler: Path, environ: dict[str, str]) -> None:
    with web_server(handler, environ=environ) as web:
        job = server.run({"type": "http", "url": web.url, "json": {"mails": 5}})
    assert job["state"] == "completed", web.log
    assert server.output(job["id"]) == b"5 mails are sent"


def test_a_cancelled_handler_stops(server: Server, handler: Path, environ: dict[str, str]) -> None:
    with web_server(handler, environ=environ) as web:
        job_id = server.add({"type": "http", "url": web.url, "json": {"mails": 100_000}})
        server.wait_state(job_id, "running")
        server.call("POST", f"/v1/jobs/{job_id}/cancel")
        assert server.wait_end(job_id)["state"] == "cancelled"
        until(lambda: "over" in web.log, 30, "the end of the script")


def test_first_api(target: Target, path: str, environ: dict[str, str]) -> None:
    done = run(EXAMPLES / "first_api.php", arguments=[target.url + path], environ=environ)
    assert re.fullmatch(r"OK: job \d+\n", done.stdout), done
    assert target.wait(path)[0].query == [("mailing", "1234")]


def test_the_readme_begins_with_what_works(make_php: Maker, target: Target, server: Server, tmp_path: Path) -> None:
    target.on("/sendmails.php", Reply(200, b"3 mails"))
    code = re.findall(r"```php\n(.*?)```", README, re.DOTALL)[0]
    script = tmp_path / "readme.php"
    places = {
        "http://127.0.0.1:1337": server.url,
        "http://127.0.0.1:8080": target.url,
        "'QueueServer.php'": f"'{CLIENT}'",
    }
    for shown, real in places.items():
        assert shown in code
        code = code.replace(shown, real)
    script.write_text(f"<?php\n{code}")
    done = run(script)
    assert (done.stdout, done.stderr) == ("completed: 3 mails", "")


def test_the_readme_names_every_call() -> None:
    source = CLIENT.read_text()
    client = source[source.index("final class Client") : source.index("final class Handler")]
    calls = set(re.findall(r"public function (?!__)(\w+)\(", client))
    assert {call for call in calls if f"{call}(" not in README} == set()
