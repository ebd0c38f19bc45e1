"""What the server is installed with says what is true: settings, ports, paths and programs that there are.

No container is built here: that needs a daemon and a registry.
"""

import ast
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from queue_server.cli.main import root
from queue_server.config.catalog import catalog
from tests.support.server import running
from tests.support.tools import needs

ROOT = Path(__file__).parents[2]
UNITS = sorted((ROOT / "src/queue_server/systemd").glob("*.service"))
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
COMPOSE: Any = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
VARIABLES = {setting.variable for setting in catalog().values()}
PORT = str(catalog()["port"].default)
PROGRAM = "/opt/queue-server/bin/queue-server"


def instructions(name: str) -> list[str]:
    """The arguments of each instruction of a name, in the image that is run."""
    last = DOCKERFILE.rpartition("\nFROM ")[2].replace("\\\n", " ")
    return re.findall(rf"^ *{name} (.*)$", last, re.MULTILINE)


def variables_in(text: str) -> set[str]:
    return {name.removesuffix("_FILE") for name in re.findall(r"\bQUEUE_SERVER_\w+", text)}


@pytest.mark.parametrize("path", [ROOT / "Dockerfile", ROOT / "compose.yaml", *UNITS], ids=lambda path: path.name)
def test_every_variable_that_is_named_is_a_setting(path: Path) -> None:
    assert variables_in(path.read_text("utf-8")) - VARIABLES == set()


def test_the_image_serves_on_its_port_as_nobody_special() -> None:
    environment = dict(pair.split("=", 1) for line in instructions("ENV") for pair in shlex.split(line))
    assert (environment["QUEUE_SERVER_PORT"], instructions("EXPOSE")) == (PORT, [PORT])
    assert environment["QUEUE_SERVER_EXEC"] == "off"
    assert instructions("USER") == ["10001"]
    assert [*map(ast.literal_eval, instructions("ENTRYPOINT"))] == [["queue-server"]]
    ((command,),) = map(ast.literal_eval, instructions("CMD")[-1:])
    assert root.get_command(click.Context(root), command)


def test_the_image_has_what_it_copies_and_every_driver() -> None:
    build = DOCKERFILE.rpartition("\nFROM ")[0]
    copied = [name for line in re.findall(r"^COPY (.*) \S+$", build, re.MULTILINE) for name in line.split()]
    assert [name for name in copied if not (ROOT / name).exists()] == []
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert set(copied) == allowed
    locked = (ROOT / "requirements.txt").read_text()
    assert all(f"\n{driver}==" in locked for driver in ("apsw", "asyncpg", "asyncmy"))


def test_the_image_s_health_check_tells_a_server_from_none(tmp_path: Path) -> None:
    (line,) = re.findall(r"CMD (\[\"python\".*\])", DOCKERFILE)
    _, *arguments = ast.literal_eval(line)
    with running(tmp_path) as server:
        check = [argument.replace(f":{PORT}/", f":{server.port}/") for argument in arguments]
        assert check != arguments
        assert subprocess.run([sys.executable, *check], check=False, timeout=20).returncode == 0
    assert subprocess.run([sys.executable, *check], check=False, timeout=20, capture_output=True).returncode == 1


def test_the_composition_has_two_equal_nodes_on_one_database() -> None:
    services = COMPOSE["services"]
    nodes = [service for service in services.values() if service["image"] == "queue-server"]
    assert len(nodes) == 2
    assert len({node["environment"]["QUEUE_SERVER_NODE_NAME"] for node in nodes}) == 2
    assert len({node["environment"]["QUEUE_SERVER_DB"] for node in nodes}) == 1
    ports = [port.split(":") for node in nodes for port in node["ports"]]
    assert [(host, inside) for host, _, inside in ports] == [("127.0.0.1", PORT)] * 2
    assert len({outside for _, outside, _ in ports}) == 2
    database = services["postgres"]
    assert database["healthcheck"]["test"][0] == "CMD"
    assert all(node["depends_on"] == {"postgres": {"condition": "service_healthy"}} for node in nodes)
    assert [volume.split(":")[0] for volume in database["volumes"]] == [*COMPOSE["volumes"]]
    user, name = database["environment"]["POSTGRES_USER"], database["environment"]["POSTGRES_DB"]
    db = nodes[0]["environment"]["QUEUE_SERVER_DB"]
    assert db == f"postgresql://{user}:{database['environment']['POSTGRES_PASSWORD']}@postgres/{name}"


@needs("systemd-analyze")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_understands_the_unit(unit: Path, tmp_path: Path) -> None:
    text = unit.read_text("utf-8")
    assert f"ExecStart={PROGRAM} serve\n" in text
    installed = tmp_path / unit.name.replace("@.", f"@{PORT}.")
    installed.write_text(text.replace(PROGRAM, str(Path(sys.executable).with_name("queue-server"))))
    command = ["systemd-analyze", "verify", "--man=no", str(installed)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_unit_gives_jobs_more_time_to_end_than_the_server_does() -> None:
    for unit in UNITS:
        (limit,) = re.findall(r"^TimeoutStopSec=(\d+)$", unit.read_text(), re.MULTILINE)
        assert int(limit) > catalog()["shutdown_grace"].default
    for service in COMPOSE["services"].values():
        assert int(service["stop_grace_period"].removesuffix("s")) > catalog()["shutdown_grace"].default
