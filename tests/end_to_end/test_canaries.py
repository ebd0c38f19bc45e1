"""Secret texts planted wherever one can be given reach their targets, and nothing else ever shows them.

A target that answers with a secret has made it its output, and output is kept: so these targets don't.
"""

import base64
import http.client
import json
import shlex
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import apsw
import pytest

from tests.cli.running import CommandLine
from tests.support.raw import Answer
from tests.support.server import FINAL, Server, assert_log_is_well, free_port, running
from tests.support.target import NEVER, Reply, Target
from tests.support.waiting import until

AWKWARD = ' "+/%&é\\'
PLACES = (
    "admin_token",
    "secret_key",
    "header",
    "header_of_batch",
    "header_with_key",
    "header_that_times_out",
    "header_that_is_cancelled",
    "header_that_is_refused",
    "header_of_no_job",
    "kept",
    "kept_before",
    "kept_not",
    "kept_in_env",
    "signing",
    "query",
    "form",
    "body",
    "user",
    "password",
    "callback_done",
    "callback_failed",
    "callback_body",
    "patched",
    "retried",
    "retried_in_bulk",
    "env",
    "stdin",
    "callback_env",
)
UNSENT = {
    "admin_token",
    "secret_key",
    "signing",
    "kept_before",
    "kept_not",
    "header_that_is_refused",
    "header_of_no_job",
}
"""What no target has to receive."""


class Canaries(dict[str, str]):
    """A text for each place. The hexadecimal part in it is in every spelling of it, but for base64."""

    def __init__(self) -> None:
        for number, place in enumerate(PLACES):
            self[place] = base64.b16encode(f"{number:02}canary{number * 7919 % 9973:04}".encode()).decode().lower()

    def awkward(self, place: str) -> str:
        """The text with all that has to be escaped somewhere."""
        return f"{AWKWARD}{self[place]}{AWKWARD}"

    def found_in(self, data: bytes, but: frozenset[str] = frozenset()) -> list[str]:
        return [place for place in PLACES if place not in but and any(form in data for form in _forms(self[place]))]


def _forms(text: str) -> Iterator[bytes]:
    yield text.encode()
    yield "".join(f"%{byte:02X}" for byte in text.encode()).encode()
    yield "".join(f"\\u{byte:04x}" for byte in text.encode()).encode()
    for before in range(3):  # base64 spells it in three ways
        skipped = (0, 2, 3)[before]
        coded = base64.b64encode(b"x" * before + text.encode()).decode().rstrip("=")
        yield coded[skipped:-1].encode()


class Scene:
    """A server that has been given all the canaries."""

    def __init__(self, server: Server, target: Target, canaries: Canaries, received: Path) -> None:
        self.server = server
        self.target = target
        self.canaries = canaries
        self.received = received
        self.jobs: list[int] = []
        self.seen = b""

    def ask(self, method: str, path: str, body: object = None, status: int | None = None) -> Answer:
        headers = {"Authorization": f"Bearer {self.canaries['admin_token']}"}
        answer = self.server.call(method, path, body, headers)
        self.seen += bytes(str(answer.headers), "utf-8") + answer.body
        assert status in (None, answer.status), answer
        return answer

    def add(self, command: Mapping[str, Any], **members: Any) -> int:
        self.jobs.append(self.ask("POST", "/v1/jobs", {"command": command, **members}, 201).json["id"])
        return self.jobs[-1]

    def end(self, job_id: int, *states: str) -> None:
        def state() -> str:
            return self.ask("GET", f"/v1/jobs/{job_id}").json["state"]

        until(lambda: state() in (states or FINAL), 20, f"the end of job {job_id}")

    def hidden(self, place: str) -> dict[str, str]:
        return {"secret": self.canaries.awkward(place)}

    def http(self, path: str, place: str | None = None, **members: Any) -> dict[str, Any]:
        headers = {"X-Key": self.hidden(place)} if place else {}
        return {"type": "http", "url": self.target.url + path, "headers": headers, **members}


def plant(scene: Scene) -> None:
    """Give the server every canary, and have jobs end in every way."""
    keep(scene)
    succeed(scene)
    call_back(scene)
    fail(scene)
    change(scene)
    for job_id in list(scene.jobs):
        scene.end(job_id)
    until(lambda: all(job["state"] in FINAL for job in listed(scene)), 20, "the callbacks' end")


def listed(scene: Scene) -> list[Any]:
    return scene.ask("GET", "/v1/jobs?limit=200", status=200).json["items"]


def keep(scene: Scene) -> None:
    canaries = scene.canaries
    signing = "whsec_" + base64.b64encode(canaries["signing"].encode()).decode()
    scene.ask("PUT", "/v1/secrets/api", {"value": canaries.awkward("kept_before")}, 201)
    scene.ask("PUT", "/v1/secrets/api", {"value": canaries.awkward("kept")}, 200)
    scene.ask("PUT", "/v1/secrets/env", {"value": canaries.awkward("kept_in_env")}, 201)
    scene.ask("PUT", "/v1/secrets/default", {"value": signing, "kind": "signing"}, 201)
    scene.ask("PUT", "/v1/secrets/default", {"value": canaries.awkward("kept_not")}, 409)
    scene.ask("POST", "/v1/secrets:rekey", status=200)


def succeed(scene: Scene) -> None:
    scene.add(scene.http("/header", "header"))
    scene.add(scene.http("/key", "header_with_key"), idempotency_key="k")
    job = {"command": scene.http("/batch", "header_of_batch")}
    scene.jobs += scene.ask("POST", "/v1/jobs/batch", [job], 201).json["ids"]
    scene.add(scene.http("/kept", headers={"X-Key": {"secret_ref": "api", "prefix": "Bearer "}}))
    scene.add(scene.http("/query", params={"a": [scene.hidden("query")]}))
    scene.add(scene.http("/form", params={"a": {"b": scene.hidden("form")}}, method="POST"))
    scene.add(scene.http("/body", body=scene.hidden("body")))
    user, password = (quote(scene.canaries.awkward(place), safe="") for place in ("user", "password"))
    scene.add(scene.http("/url") | {"url": scene.target.url.replace("://", f"://{user}:{password}@") + "/url"})
    to = f"{shlex.quote(str(scene.received))}/$QUEUE_JOB_ID"
    save = f"cat > {to}; env >> {to}"
    env = {"A": scene.hidden("env"), "B": {"secret_ref": "env"}}
    scene.add({"type": "exec", "cmd": save, "env": env, "stdin": scene.hidden("stdin")})
    scene.add(
        scene.http("/with-command"),
        callback_done={"type": "exec", "cmd": save, "env": {"A": scene.hidden("callback_env")}},
    )


def call_back(scene: Scene) -> None:
    scene.target.on("/fails", Reply(500))
    scene.add(
        scene.http("/done"),
        callback_done=scene.http("/callback", "callback_done", body=scene.hidden("callback_body")),
    )
    scene.add(scene.http("/fails"), callback_failed=scene.http("/callback", "callback_failed"))


def fail(scene: Scene) -> None:
    scene.target.on("/never", NEVER)
    scene.add(scene.http("/never", "header_that_times_out", timeout=0.3), retry={"max_attempts": 2, "min_delay": 0})
    cancelled = scene.add(scene.http("/never", "header_that_is_cancelled"))
    scene.end(cancelled, "running")
    scene.ask("POST", f"/v1/jobs/{cancelled}/cancel", {"reason": "no more"})
    closed = scene.http("/", "header_that_is_refused") | {"url": f"http://127.0.0.1:{free_port()}/"}
    scene.add(closed)
    bad = scene.http("/", "header_of_no_job", timeout=-1)
    scene.ask("POST", "/v1/jobs", {"command": bad}, 400)
    scene.ask("POST", "/jobs/add", {"command": bad}, 400)
    scene.ask("POST", "/v1/jobs", b"{" + json.dumps(bad).encode(), 400)
    scene.ask("POST", "/v1/jobs/batch", [{"command": bad}], 400)


def change(scene: Scene) -> None:
    waiting = scene.add(scene.http("/patched", "header"), delay=3600)
    patch = {"command": {"headers": {"X-Key": scene.hidden("patched")}}, "run_at": None}
    scene.ask("PATCH", f"/v1/jobs/{waiting}", patch, 200)
    scene.end(waiting)
    again = {"command": {"headers": {"X-Key": scene.hidden("retried")}}}
    scene.ask("POST", f"/v1/jobs/{waiting}/retry", again, 200)
    scene.end(waiting)
    bulk = {"command": {"headers": {"X-Key": scene.hidden("retried_in_bulk")}}}
    answer = scene.ask("POST", "/v1/jobs:retry", {"filter": {"ids": [waiting]}, "changes": bulk}, 202)
    scene.ask("GET", f"/v1/operations/{answer.json['operation']['id']}?wait=10", status=200)


# Looking for them.


def every_get(scene: Scene) -> None:
    """Ask all that can be asked with GET, for each thing that there is."""
    paths: Mapping[str, Mapping[str, Any]] = scene.ask("GET", "/v1/openapi.json", status=200).json["paths"]
    jobs = [str(job["id"]) for job in listed(scene)]
    ids = {"job_id": jobs, "operation_id": ["1"], "token_id": ["1"], "file": ["x.css"], "claim": ["1"]}
    for path in [path for path, methods in paths.items() if "get" in methods]:
        name = path.partition("{")[2].partition("}")[0]
        for value in ids.get(name, [""]):
            asked = path.replace(f"{{{name}}}", value)
            if path != "/v1/events":
                scene.ask("GET", asked)
            if path.endswith("/output"):
                for stream in ("stderr", "head"):
                    scene.ask("GET", f"{asked}?stream={stream}")


def every_command(scene: Scene) -> bytes:
    """What the command line shows of all this."""
    shell = CommandLine(scene.server.folder, scene.server.url)
    environ = {"QUEUE_SERVER_TOKEN": scene.canaries["admin_token"]}
    settings = {"QUEUE_SERVER_ADMIN_TOKEN": scene.canaries["admin_token"], "QUEUE_SERVER_SECRET_KEY": key_of(scene)}
    shown = ""
    forms = ("-o", "json"), ("-o", "table")
    for line in ("ls", "secret list", "operations", "audit", "token list", "stats"):
        for form in forms[: 1 if line == "stats" else 2]:
            ran = shell(*line.split(), *form, **environ)
            shown += ran.out + ran.err
    for job_id in scene.jobs:
        for line in (f"show {job_id} -o json", f"explain {job_id}", f"logs {job_id}"):
            ran = shell(*line.split(), **environ)
            shown += ran.out + ran.err
    for form in forms:
        ran = shell("config", "show", *form, **settings)
        assert ran.code == 0, ran
        shown += ran.out + ran.err
    assert "secret_ref" in shown
    return shown.encode()


def backup_of(scene: Scene, folder: Path) -> bytes:
    copy = folder / "backup.db"
    with (
        closing(apsw.Connection(str(scene.server.db), flags=apsw.SQLITE_OPEN_READONLY)) as source,
        closing(apsw.Connection(str(copy))) as target,
        target.backup("main", source, "main") as backup,
    ):
        backup.step(-1)
    return copy.read_bytes()


def files_of(folder: Path) -> Iterator[tuple[Path, bytes]]:
    for path in sorted(folder.iterdir()):
        if path.is_file():
            yield path, path.read_bytes()


class Listener:
    """Reads the stream of events."""

    def __init__(self, server: Server, token: str) -> None:
        self.data = b""
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        self._connection.request("GET", "/v1/events", headers={"Authorization": f"Bearer {token}"})
        self._response = self._connection.getresponse()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with suppress(OSError, http.client.HTTPException):
            while piece := self._response.read1(65536):
                self.data += piece

    def finish(self) -> bytes:
        self._thread.join(20)
        self._connection.close()
        return self.data


def key_of(scene: Scene) -> str:
    return scene.canaries["secret_key"].ljust(64, "0")


@pytest.mark.parametrize("log_format", [pytest.param("console", marks=pytest.mark.long), "json"])
def test_no_secret_is_shown_and_all_arrive(tmp_path: Path, target: Target, log_format: str) -> None:
    canaries = Canaries()
    received, home = tmp_path / "received", tmp_path / "home"
    received.mkdir()
    home.mkdir()
    environ = {
        "QUEUE_SERVER_ADMIN_TOKEN": canaries["admin_token"],
        "QUEUE_SERVER_SECRET_KEY": canaries["secret_key"].ljust(64, "0"),
    }
    flags = ("--exec", "any", "--log-level", "debug", "--log-format", log_format, "--shutdown-grace", "0")
    seen: dict[str, bytes] = {}
    first = len(target.requests)
    server = Server(home, *flags, environ=environ)
    with running_console(server, log_format):
        scene = Scene(server, target, canaries, received)
        events = Listener(server, canaries["admin_token"])
        plant(scene)
        every_get(scene)
        seen["command line"] = every_command(scene)
        seen["backup"] = backup_of(scene, tmp_path)
        seen |= {f"running: {path.name}": data for path, data in files_of(home)}
        assert "running: q.db-wal" in seen
    seen["events"] = events.finish()
    assert b"job.completed" in seen["events"]
    seen["answers"] = scene.seen
    seen |= {f"stopped: {path.name}": data for path, data in files_of(home)}
    assert {place: found for place, data in seen.items() if (found := canaries.found_in(data))} == {}
    arrived = b"".join(repr(request).encode() for request in target.requests[first:])
    arrived += b"".join(data for _, data in files_of(received))
    assert canaries.found_in(arrived) == [place for place in PLACES if place not in UNSENT]


def running_console(server: Server, log_format: str) -> Any:
    """The server, which tells its address in a form of its own in JSON."""
    return _Running(server, server.start if log_format == "console" else server.start_unread)


class _Running:
    def __init__(self, server: Server, start: Callable[[], Server]) -> None:
        self._server = server
        self._start = start

    def __enter__(self) -> Server:
        return self._start()

    def __exit__(self, *_: object) -> None:
        self._server.stop()
        assert_log_is_well(self._server)


def test_looking_finds_every_spelling() -> None:
    canaries = Canaries()
    text = canaries.awkward("header")
    spellings = [text.encode(), quote(text, safe="").encode(), json.dumps(text).encode()]
    spellings += [base64.b64encode(b"x" * before + text.encode()) for before in range(3)]
    spellings += [base64.urlsafe_b64encode(b"ann:" + text.encode())]
    assert [canaries.found_in(b"..." + spelling + b"...") for spelling in spellings] == [["header"]] * len(spellings)


def test_error_of_a_job_has_no_secret_in_it(tmp_path: Path, target: Target) -> None:
    """What a target says may be an error's text; what it answers stays its output."""
    text = 'swordfish "1"'
    with running(tmp_path, "--exec", "any") as server:
        target.on("/moved", Reply(302, headers=[("Location", f"/x?key={quote(text)}")]))
        moved = server.run({"type": "http", "url": f"{target.url}/moved", "headers": {"X": {"secret": text}}})
        failed = server.run({"type": "exec", "cmd": 'echo "no $A" >&2; exit 1', "env": {"A": {"secret": text}}})
        assert moved["error"] == "HTTP 302 Found: redirects are not followed (to /x?key=***)"
        assert failed["error"] == "exit code 1: no ***"
        assert server.output(failed["id"], "?stream=stderr") == f"no {text}\n".encode()
