"""`POST /v1/jobs/batch`: all or nothing, and a clear answer to whatever is sent."""

import socket
import sys
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.batches import PATH, array, assert_is_refused, head, job, lines, send, waiting
from tests.support.fixtures import Starter
from tests.support.raw import connect, parse, read_answer, send_raw
from tests.support.server import FORM, Server
from tests.support.waiting import until

MIB = 1024 * 1024
LIVE = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def nothing_is_stored(server: Server) -> Iterator[None]:
    """The test leaves the queue as it was, and the server well."""
    before = waiting(server)
    yield
    assert waiting(server) == before
    assert "Traceback" not in server.log


@pytest.mark.parametrize("form", [array, lines])
@pytest.mark.parametrize("content_type", ["application/json", "application/x-ndjson", FORM["Content-Type"]])
@pytest.mark.parametrize("count", [1, 2, 700])
def test_batch_is_stored_in_its_order(server: Server, form: object, content_type: str, count: int) -> None:
    answer = send(server, form(job(number) for number in range(count)), **{"Content-Type": content_type})
    assert answer.status == 201
    assert answer.type == "application/json"
    assert answer.json == {"ids": answer.json["ids"], "count": count, "replayed": 0}
    ids = answer.json["ids"]
    assert ids == [*range(ids[0], ids[0] + count)]
    assert [server.job(ids[place])["command"]["url"] for place in (0, -1)] == [
        job(0)["command"]["url"],
        job(count - 1)["command"]["url"],
    ]


def test_members_of_each_job_are_its_own(server: Server) -> None:
    jobs = [
        job(0, priority=7, queue="mails", key="acme", tags={"customer": "a"}, context="app"),
        {"command": {"type": "exec", "cmd": "true"}, "run_at": "2126-01-01T00:00:00Z", "retry": {"max_attempts": 3}},
        job(2),
    ]
    first, second, third = map(server.job, send(server, array(jobs)).json["ids"])
    assert (first["priority"], first["queue"], first["key"], first["tags"]) == (7, "mails", "acme", {"customer": "a"})
    assert (second["type"], second["max_attempts"], second["run_at"]) == ("exec", 3, "2126-01-01T00:00:00.000000Z")
    assert (third["priority"], third["queue"], third["key"], third["tags"]) == (500, "default", None, {})


def test_body_that_comes_in_small_chunks_is_read_like_any_other(server: Server) -> None:
    body = array(job(number, context="€") for number in range(50))
    data = f"POST {PATH} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    chunks = [body[at : at + 7] for at in range(0, len(body), 7)]
    data += b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    assert parse(send_raw(server.port, data)).json["count"] == 50


def test_client_that_waits_for_the_go_ahead_gets_it(server: Server) -> None:
    body = array([job()])
    with connect(server.port) as channel:
        channel.sendall(head(len(body), "Expect: 100-continue\r\n"))
        assert channel.recv(100).startswith(b"HTTP/1.1 100")
        channel.sendall(body)
        assert parse(read_answer(channel)).status == 201


# What is refused.


@pytest.mark.usefixtures("nothing_is_stored")
@pytest.mark.parametrize("form", [array, lines])
@pytest.mark.parametrize("place", [0, 4999, 9999])
def test_one_bad_job_among_many_stores_none(server: Server, form: object, place: int) -> None:
    jobs = [job(number) for number in range(10_000)]
    jobs[place] = {"command": {"type": "http", "url": "nowhere"}}
    answer = send(server, form(jobs))
    assert_is_refused(answer, 400, f"/{place}/command/url")
    assert ("line" in answer.json["errors"][0]["detail"]) == (form is lines)


@pytest.mark.usefixtures("nothing_is_stored")
def test_many_errors_are_listed_up_to_a_limit(server: Server) -> None:
    errors = send(server, array([{}] * 300)).json["errors"]
    assert [error["pointer"] for error in errors] == [*(f"/{place}/command" for place in range(100)), ""]
    assert errors[-1]["detail"] == "200 more problems are not listed"


BODIES = {
    "empty": b"",
    "blank": b" \n ",
    "empty array": b"[]",
    "null": b"null",
    "a form": b"command=x",
    "a number": b"[1]",
    "a trailing comma": array([job()])[:-1] + b",]",
    "cut off": array([job(), job()])[:-20],
    "cut off line": lines([job(), job()])[:-20],
    "garbage behind": array([job()]) + b"garbage",
    "only NUL": b"\0" * 1000,
    "NUL in a string": array([job(context="x")]).replace(b'"x"', b'"x\0y"'),
    "escaped NUL": array([job(context="x\0y")]),
    "half a surrogate": b'[{"context":"\\ud800","command":{"type":"http","url":"http://h/"}}]',
    "half a surrogate in json": b'[{"command":{"type":"http","url":"http://h/","json":"\\udc00"}}]',
    "not utf-8": b'[{"command":{"type":"http","url":"http://h/","json":"\xff"}}]',
    "utf-16": array([job()]).decode().encode("utf-16"),
    "open brackets": b"[" * 500_000,
    "nested deeply": b'[{"command":' + b"[" * 100_000 + b"]" * 100_000 + b"}]",
    "nested deeply in json": b'[{"command":{"type":"http","url":"http://h/","json":'
    + b"[" * 200_000
    + b"]" * 200_000
    + b"}}]",
    "closing brackets": b"[" + b"}" * 500_000,
    "commas": b"[" + b"," * 500_000,
    "a million digits": b"[" + b"9" * 1_000_000 + b"]",
    "NaN": array([job(priority=float("nan"))]),
}


@pytest.mark.usefixtures("nothing_is_stored")
@pytest.mark.parametrize("name", BODIES)
def test_bad_body_is_400_with_the_documented_json(server: Server, name: str) -> None:
    answer = send(server, BODIES[name])
    assert_is_refused(answer, 400)
    assert answer.json["errors"]
    assert all(set(error) == {"pointer", "detail"} for error in answer.json["errors"])


@pytest.mark.usefixtures("nothing_is_stored")
def test_too_many_jobs_are_413(server: Server) -> None:
    assert_is_refused(send(server, array(job(number) for number in range(10_001))), 413)
    assert_is_refused(send(server, lines([{}] * 100_000)), 413)


@pytest.mark.usefixtures("nothing_is_stored")
def test_job_larger_than_a_single_one_may_be_is_413(server: Server) -> None:
    for size in (MIB, 2 * MIB, 20 * MIB):
        body = array([job(0), job(1, context="x" * size), job(2)])
        answer = send(server, body)
        assert_is_refused(answer, 413)
        assert "job 1 of the batch" in answer.json["detail"]


@pytest.mark.usefixtures("nothing_is_stored")
def test_job_that_never_ends_is_413_while_it_is_sent(server: Server) -> None:
    with connect(server.port) as channel:
        channel.sendall(head(60 * MIB) + b'[{"context":"')
        for _ in range(60):
            channel.sendall(b"x" * MIB)
        assert_is_refused(parse(read_answer(channel)), 413)


@pytest.mark.parametrize("form", [array, lines])
def test_body_larger_than_the_setting_is_413(make_server: Starter, form: object) -> None:
    server = make_server("--max-batch", "100KiB").start()
    body = form(job(number) for number in range(10_000))
    assert_is_refused(send(server, body), 413)
    chunk = b"4000\r\n" + b" " * 0x4000 + b"\r\n"
    data = f"POST {PATH} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n".encode() + chunk * 20 + b"0\r\n\r\n"
    assert_is_refused(parse(send_raw(server.port, data)), 413)
    assert_is_refused(parse(send_raw(server.port, head("99999999999") + b"[")), 413)
    within = form(job(number) for number in range(500))
    assert len(within) <= 100 * 1024
    assert send(server, within).status == 201
    assert waiting(server) == 500


@pytest.mark.usefixtures("nothing_is_stored")
def test_client_that_reads_only_after_it_has_sent_all_sees_why_it_is_refused(server: Server) -> None:
    bad = array([{"command": 1}])[:-1] + b"," + array([job(context="x" * 200)] * 9_000)[1:]
    many = array([job()] * 200_000)
    with connect(server.port, 30) as channel:
        for body, status in ((bad, 400), (many, 413), (b"x" * 30 * MIB, 400), (array([{}]), 400)):
            channel.sendall(head(len(body)) + body)
            assert_is_refused(parse(read_answer(channel)), status)


def test_command_where_commands_are_off_is_403_with_its_place(make_server: Starter) -> None:
    server = make_server().start()
    jobs: list[object] = [job(number) for number in range(3000)]
    jobs[2000] = job(2000, callback_failed={"type": "exec", "cmd": "true"})
    jobs[2500] = {"command": {"type": "exec", "cmd": "true"}}
    for form in (array, lines):
        answer = send(server, form(jobs))
        assert_is_refused(answer, 403, "/2000/callback_failed")
        assert "exec" in answer.json["detail"]
    jobs[2900] = {}
    assert_is_refused(send(server, array(jobs)), 400, "/2900/command")
    assert waiting(server) == 0


def test_batch_that_has_no_room_is_503(make_server: Starter) -> None:
    server = make_server("--max-waiting", "100").start()
    assert send(server, array(job(number) for number in range(60))).status == 201
    answer = send(server, array(job(number) for number in range(41)))
    assert_is_refused(answer, 503)
    assert int(answer.headers["Retry-After"]) > 0
    assert waiting(server) == 60
    assert send(server, array(job(number) for number in range(40))).status == 201


VARIANT = """
import queue_server.web.pieces as pieces
pieces.GRACE_S = 0.3
import queue_server.cli.main
queue_server.cli.main.run()
"""


@pytest.mark.parametrize("begin", [b"", b"[", array([job()] * 500)[:-1]])
def test_body_that_comes_too_slowly_is_408(make_server: Starter, begin: bytes) -> None:
    server = make_server(program=(sys.executable, "-c", VARIANT)).start()
    with connect(server.port) as channel:
        channel.sendall(head(10_000_000) + begin)
        assert_is_refused(parse(read_answer(channel)), 408)
    assert waiting(server) == 0


@pytest.mark.usefixtures("nothing_is_stored")
@pytest.mark.parametrize("is_reset", [False, True])
def test_client_that_goes_away_stores_nothing(server: Server, is_reset: bool) -> None:
    body = array(job(number, context="gone") for number in range(5000))
    for sent in (body[:100], body[:-1]):
        with connect(server.port) as channel:
            channel.sendall(head(len(body)) + sent)
            if is_reset:
                channel.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    assert send(server, array([job(context="here")])).status == 201
    until(lambda: server.get("/v1/jobs?context=here")["items"])
    assert server.get("/v1/jobs?context=gone")["items"] == []
    for found in server.get("/v1/jobs?context=here")["items"]:
        server.call("POST", f"/v1/jobs/{found['id']}/cancel")


@pytest.mark.usefixtures("nothing_is_stored")
def test_body_shorter_than_announced_is_400(server: Server) -> None:
    body = array([job()])
    assert_is_refused(parse(send_raw(server.port, head(len(body) + 10) + body, half_close=True)), 400)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_other_methods_are_not_for_batches(server: Server, method: str) -> None:
    answer = server.call(method, PATH)
    assert_is_refused(answer, 405)
    assert answer.headers["Allow"] == "POST"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=8,
)


near_jobs = json_values | st.dictionaries(st.text(max_size=8), json_values, max_size=2).map(lambda more: job() | more)
noise = st.binary(max_size=100)
bodies = (
    st.binary(max_size=200)
    | st.lists(near_jobs, max_size=4).map(array)
    | noise.map(lambda more: array([job()])[:-1] + b"," + more)
    | noise.map(lambda more: lines([job()]) + more)
)


@LIVE
@given(body=bodies)
def test_random_batches_are_answered_and_stored_whole_or_not_at_all(server: Server, body: bytes) -> None:
    before = waiting(server)
    answer = send(server, body)
    assert answer.status in (201, 400), (answer.status, body, answer.body)
    assert waiting(server) == before + (answer.json["count"] if answer.status == 201 else 0)
    assert answer.status == 201 or answer.json["errors"]
