"""GET /v1/jobs/{id}/output: streams, attempts, ranges, conditions, and what there is of it while the job runs."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.raw import Answer, parse, send_raw
from tests.support.server import Server
from tests.support.target import Reply, Target
from tests.support.waiting import until

BODY = b"0123456789"


@pytest.fixture(scope="module")
def ended(server: Server, target: Target) -> int:
    """A job that has ended with BODY."""
    return server.run({"type": "http", "url": target.on("/ended", Reply(body=BODY))})["id"]


@pytest.fixture
def half(server: Server, target: Target, path: str) -> Iterator[int]:
    """A job that runs, and whose target has sent half of its answer."""
    release = threading.Event()

    def pieces() -> Iterator[bytes]:
        yield b"half"
        until(lambda: release.is_set() or None, 30)
        yield b"rest"

    reply = Reply(pieces=pieces, is_chunked=True)
    job = server.add({"type": "http", "url": target.on(path, reply)})
    until(lambda: server.output(job) == b"half")
    yield job
    release.set()
    assert server.wait_end(job)["state"] == "completed"
    assert server.output(job) == b"halfrest"


def get(server: Server, job: int, query: str = "", method: str = "GET", **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return server.call(method, f"/v1/jobs/{job}/output{query}", headers=named)


def test_whole_output_says_that_parts_can_be_had(server: Server, ended: int) -> None:
    answer = get(server, ended)
    assert (answer.status, answer.body, answer.type) == (200, BODY, "application/octet-stream")
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Queue-Output-Size"] == "10"
    assert answer.headers["ETag"] == f'"{ended}-1-output"'


@pytest.mark.parametrize(
    ("wanted", "part", "place"),
    [
        ("bytes=2-4", b"234", "2-4"),
        ("bytes=7-", b"789", "7-9"),
        ("bytes=-3", b"789", "7-9"),
        ("bytes=5-99", b"56789", "5-9"),
    ],
)
def test_range_is_answered_with_206(server: Server, ended: int, wanted: str, part: bytes, place: str) -> None:
    answer = get(server, ended, Range=wanted)
    assert (answer.status, answer.body) == (206, part)
    assert answer.headers["Content-Range"] == f"bytes {place}/10"
    assert answer.headers["Content-Length"] == str(len(part))
    assert answer.headers["X-Queue-Output-Size"] == "10"


def test_range_beyond_the_output_is_416_with_its_size(server: Server, ended: int) -> None:
    answer = get(server, ended, Range="bytes=10-")
    assert (answer.status, answer.type) == (416, "application/problem+json")
    assert answer.headers["Content-Range"] == "bytes */10"
    assert answer.json["detail"] == "the output has 10 bytes"


@pytest.mark.parametrize("wanted", ["bytes=0-1,4-5", "lines=1-2", "bytes=4-2", "nonsense"])
def test_other_ranges_are_answered_with_the_whole(server: Server, ended: int, wanted: str) -> None:
    answer = get(server, ended, Range=wanted)
    assert (answer.status, answer.body) == (200, BODY)
    assert "Content-Range" not in answer.headers


def test_head_tells_of_the_whole_and_sends_nothing(server: Server, ended: int) -> None:
    request = f"HEAD /v1/jobs/{ended}/output HTTP/1.1\r\nHost: h\r\nRange: bytes=0-1\r\nConnection: close\r\n\r\n"
    data = send_raw(server.port, request.encode())
    answer = parse(data)
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["Content-Length"] == "10"
    assert answer.headers["Accept-Ranges"] == "bytes"


def test_if_range_decides_whether_a_range_counts(server: Server, ended: int) -> None:
    tag = get(server, ended).headers["ETag"]
    assert get(server, ended, Range="bytes=0-1", If_Range=tag).status == 206
    for other in ('"another"', f"W/{tag}", "Mon, 24 Nov 2025 09:30:00 GMT"):
        answer = get(server, ended, Range="bytes=0-1", If_Range=other)
        assert (answer.status, answer.body) == (200, BODY)


def test_known_output_is_not_sent_again(server: Server, ended: int) -> None:
    tag = get(server, ended).headers["ETag"]
    for condition in (tag, f"W/{tag}", f'"x", {tag}', "*"):
        answer = get(server, ended, If_None_Match=condition)
        assert (answer.status, answer.body, answer.headers["ETag"]) == (304, b"", tag)
    assert get(server, ended, If_None_Match='"x"').status == 200


def test_each_stream_has_its_own_size_and_tag(server: Server) -> None:
    job = server.run({"type": "exec", "cmd": "printf out; printf error >&2"})["id"]
    sizes = {"output": 3, "stderr": 5, "head": 0}
    answers = {stream: get(server, job, f"?stream={stream}") for stream in sizes}
    assert {name: int(answer.headers["X-Queue-Output-Size"]) for name, answer in answers.items()} == sizes
    assert len({answer.headers["ETag"] for answer in answers.values()}) == 3
    assert [answer.body for answer in answers.values()] == [b"out", b"error", b""]


def test_empty_stream_has_no_range(server: Server) -> None:
    job = server.run({"type": "exec", "cmd": "true"})["id"]
    answer = get(server, job, Range="bytes=0-")
    assert (answer.status, answer.headers["Content-Range"]) == (416, "bytes */0")
    answer = get(server, job, Range="bytes=-5")
    assert (answer.status, answer.body) == (200, b"")


def test_size_counts_what_was_dropped_too(server: Server) -> None:
    size = 3 * 1024 * 1024
    job = server.run({"type": "exec", "cmd": f"head -c {size} /dev/zero"})["id"]
    answer = get(server, job)
    assert answer.headers["X-Queue-Output-Size"] == str(size)
    assert len(answer.body) < size
    last = get(server, job, Range="bytes=-10")
    assert (last.status, last.body) == (206, bytes(10))
    assert last.headers["Content-Range"].endswith(f"/{len(answer.body)}")


def test_running_job_shows_what_came_so_far(server: Server, half: int) -> None:
    assert server.job(half)["state"] == "running"
    answer = get(server, half)
    assert (answer.status, answer.body, answer.headers["X-Queue-Output-Size"]) == (200, b"half", "4")
    assert "ETag" not in answer.headers
    assert answer.headers["Cache-Control"] == "no-store"
    assert get(server, half, "?attempt=1").body == b"half"
    assert get(server, half, "?stream=head").body.startswith(b"HTTP/1.1 200 Reply\r\n")
    assert get(server, half, "?stream=stderr").body == b""
    part = get(server, half, Range="bytes=1-2")
    assert (part.status, part.body, part.headers["Content-Range"]) == (206, b"al", "bytes 1-2/4")
    assert get(server, half, Range="bytes=1-2", If_Range=f'"{half}-1-output"').status == 200


def test_earlier_attempt_is_had_by_its_number(server: Server, target: Target, path: str) -> None:
    url = target.on(path, Reply(500, b"one"), Reply(200, b"two"))
    job = server.run({"type": "http", "url": url}, retry={"max_attempts": 2, "min_delay": 0})["id"]
    assert [get(server, job, f"?attempt={n}").body for n in (1, 2)] == [b"one", b"two"]
    assert get(server, job).headers["ETag"] == get(server, job, "?attempt=2").headers["ETag"]
    assert get(server, job, "?attempt=1").headers["ETag"] != get(server, job).headers["ETag"]


@pytest.mark.parametrize("follow", ["", "&follow=1"])
def test_attempt_or_job_that_is_not_there_is_404(server: Server, ended: int, follow: str) -> None:
    answer = get(server, ended, f"?attempt=2{follow}")
    assert (answer.status, answer.json["detail"]) == (404, f"Job {ended} has no ended attempt 2")
    for job in ("999999999", "0", "nonsense", "99999999999999999999"):
        answer = server.call("GET", f"/v1/jobs/{job}/output?stream=output{follow}")
        assert (answer.status, answer.type) == (404, "application/problem+json")


@pytest.mark.parametrize(
    "query", ["stream=other", "attempt=0", "attempt=x", "attempt=99999999999", "follow=perhaps", "fllow=1"]
)
def test_wrong_parameter_is_400_with_its_name(server: Server, ended: int, query: str) -> None:
    answer = get(server, ended, f"?{query}")
    assert (answer.status, answer.type) == (400, "application/problem+json")
    errors: list[dict[str, Any]] = answer.json["errors"]
    assert [error["pointer"] for error in errors] == [f"/{query.partition('=')[0]}"]


def test_waiting_job_has_an_empty_output(server: Server, target: Target) -> None:
    job = server.add({"type": "http", "url": target.url}, delay=3600)
    answer = get(server, job)
    assert (answer.status, answer.body, answer.headers["X-Queue-Output-Size"]) == (200, b"", "0")
    assert "ETag" not in answer.headers


def test_output_never_shrinks_while_the_end_is_on_its_way_to_the_store(server: Server) -> None:
    for _ in range(15):
        job = server.add({"type": "exec", "cmd": "printf one; sleep 0.02; printf two"})
        seen = [b""]
        while seen[-1] != b"onetwo" or server.job(job)["state"] == "running":
            seen.append(server.output(job))
            assert seen[-1].startswith(seen[-2])
        assert server.output(job) == b"onetwo"
