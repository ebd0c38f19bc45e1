"""README's commands run, word for word but for the ports."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.support.fixtures import Starter
from tests.support.server import Server
from tests.support.target import Reply, Target
from tests.support.tools import needs

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
SHELL = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
CONSOLE = re.findall(r"```console\n(.*?)```", README, re.DOTALL)


@pytest.fixture
def readme_server(make_server: Starter, target: Target) -> Server:
    target.on("/", Reply(200, b"hello"))
    return make_server("--exec", "any").start()


def run(script: str, server: Server, target: Target) -> str:
    """Run a block of README against `server` and `target`; what it printed."""
    port = target.url.rpartition(":")[2]
    script = script.replace(":1337", f":{server.port}").replace(":8080", f":{port}")
    script = script.replace(".venv/bin/queue-server", str(ROOT / ".venv/bin/queue-server"))
    environ = {"PATH": "/usr/local/bin:/usr/bin:/bin", "QUEUE_SERVER_URL": server.url, "HOME": str(server.folder)}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], check=False, capture_output=True, text=True, timeout=60, env=environ
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def blocks_with(words: str) -> list[str]:
    return [block for block in SHELL if words in block]


@needs("curl")
@pytest.mark.parametrize("block", blocks_with("curl -d"), ids=lambda block: block[:30])
def test_every_curl_example_adds_a_job_that_completes(block: str, readme_server: Server, target: Target) -> None:
    for line in run(block, readme_server, target).replace("}{", "}\n{").splitlines():
        answer = json.loads(line)
        assert answer["status"] in ("OK", 200)
        if "job_id" in answer:
            assert readme_server.wait_end(answer["job_id"])["state"] == "completed"


@needs("curl")
def test_the_first_example_calls_the_url_and_calls_back(readme_server: Server, target: Target) -> None:
    command, _, rest = CONSOLE[0].removeprefix("$ ").partition("\n{")
    assert rest.startswith('"status":"OK","job_id":1}')
    seen = len(target.of("/"))
    assert json.loads(run(command, readme_server, target)) == {"status": "OK", "job_id": 1}
    called, called_back = target.wait("/", seen + 2)[seen:]
    assert (called.query, called_back.query) == ([("mailing", "1234")], [("done", "1")])
    readme_server.wait_end(1)
    status = run(f"curl -s {readme_server.url}/jobs/status/1", readme_server, target)
    assert json.loads(status)["data"]["worker_status"] == 3


def test_the_command_line_examples_run(readme_server: Server, target: Target) -> None:
    (block,) = blocks_with("queue-server add")
    out = run(block, readme_server, target)
    assert "completed" in out
    assert "hello" in out


@needs("php")
def test_the_php_example_adds_a_job(readme_server: Server, target: Target, tmp_path: Path) -> None:
    target.on("/sendmails.php", Reply(200))
    (block,) = re.findall(r"```php\n(.*?)```", README, re.DOTALL)
    port = target.url.rpartition(":")[2]
    script = tmp_path / "example.php"
    script.write_text("<?php\n" + block.replace(":1337", f":{readme_server.port}").replace(":8080", f":{port}"))
    done = subprocess.run(["php", str(script)], check=False, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "1"), done.stderr
    assert target.wait("/sendmails.php")[0].query == [("mailing", "1234")]
