"""Event streams over HTTP: what they say, when they end, and that no client of one costs the others anything."""

import contextlib
import itertools
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.builders.event_streams import Told
from tests.support.event_stream import EventStream, event_stream
from tests.support.fixtures import Starter
from tests.support.raw import Answer, connect, parse, read_answer
from tests.support.server import Server, timed
from tests.support.target import NEVER, Reply, Target
from tests.support.waiting import until

GET = b"GET %b HTTP/1.1\r\nHost: h\r\n%b\r\n"
END_OF_CHUNKS = b"\r\n0\r\n\r\n"


def names(events: list[Told]) -> list[str]:
    return [one.name for one in events]


def sockets(server: Server) -> int:
    """How many the server has. Tests allow for a few of earlier requests that are just being closed."""
    count = 0
    for link in Path(f"/proc/{server.pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            count += link.readlink().name.startswith("socket:")
    return count


def test_events_of_a_job_as_they_happen(server: Server, target: Target, path: str) -> None:
    with event_stream(server, f"/v1/events?context={path[1:]}") as stream:
        headers = stream.response.headers
        job = server.add({"type": "http", "url": target.on(path)}, context=path[1:], key="k")
        events = stream.events(3)
    assert headers["Content-Type"] == "text/event-stream"
    assert (headers["Cache-Control"], headers["X-Accel-Buffering"]) == ("no-store", "no")
    assert names(events) == ["job.added", "job.started", "job.completed"]
    assert len({one.id.partition("-")[0] for one in events}) == 1
    assert [one.data["job_id"] for one in events] == [job] * 3
    record = server.job(job)
    assert events[0].data["at"] == record["created_at"]
    assert events[1].data["at"] == record["started_at"]
    assert events[2].data == {
        "type": "job.completed",
        "job_id": job,
        "state": "completed",
        "at": record["ended_at"],
        "queue": "default",
        "context": path[1:],
        "key": "k",
        "attempt": 1,
        "outcome": "succeeded",
        "exit_code": 200,
        "error": None,
        "reason": "",
    }


def test_retries_and_callbacks_are_told(server: Server, target: Target, path: str) -> None:
    target.on(path, Reply(500), Reply(500))
    context = path[1:]
    with event_stream(server, f"/v1/events?context={context}") as stream:
        job = server.add(
            {"type": "http", "url": target.url + path},
            context=context,
            retry={"max_attempts": 2, "backoff": "none", "min_delay": 0},
            callback_failed={"type": "http", "url": target.on(path + "/called")},
        )
        events = stream.events(8)
    of_job = [one for one in events if one.data["job_id"] == job]
    of_callback = [one for one in events if one.data["job_id"] != job]
    assert names(of_job) == ["job.added", "job.started", "job.retrying", "job.started", "job.failed"]
    assert names(of_callback) == ["job.added", "job.started", "job.completed"]
    assert [one.data["attempt"] for one in of_job] == [0, 1, 1, 2, 2]
    assert [one.number for one in events] == sorted(one.number for one in events)


def test_stream_of_a_job_shows_it_first_and_ends_with_it(server: Server, target: Target, path: str) -> None:
    release = threading.Event()
    job = server.add({"type": "http", "url": target.on(path, Reply(hold=release))})
    target.wait(path)
    with event_stream(server, f"/v1/jobs/{job}/events") as stream:
        (first,) = stream.events(1)
        release.set()
        rest = stream.events(10)
    assert (first.name, first.data["id"], first.data["state"]) == ("job", job, "running")
    assert names(rest) == ["job.completed"]


def test_stream_of_a_job_that_has_ended_is_short(server: Server, target: Target, path: str) -> None:
    job = server.run({"type": "http", "url": target.on(path)})
    answer = server.call("GET", f"/v1/jobs/{job['id']}/events")
    assert answer.status == 200
    with event_stream(server, f"/v1/jobs/{job['id']}/events") as stream:
        (only,) = stream.events(10)
    assert (only.name, only.data) == ("job", job)


def test_stream_of_a_job_is_resumed_after_the_last_event(server: Server, target: Target, path: str) -> None:
    release = threading.Event()
    with event_stream(server):
        job = server.add({"type": "http", "url": target.on(path, Reply(hold=release))}, delay=0.2)
        with event_stream(server, f"/v1/jobs/{job}/events") as stream:
            first, started = stream.events(2)
        release.set()
        server.wait_end(job)
        for seen, expected in ((first, ["job", "job.started", "job.completed"]), (started, ["job", "job.completed"])):
            with event_stream(server, f"/v1/jobs/{job}/events", {"Last-Event-ID": seen.id}) as stream:
                again = stream.events(10)
            assert names(again) == expected
            assert again[0].data["state"] == "completed"
            assert again[0].number < again[1].number
        with event_stream(server, f"/v1/jobs/{job}/events?last_event_id={again[-1].id}") as stream:
            assert names(stream.events(10)) == ["job"]


@pytest.mark.parametrize("job_id", ["999999", "0", "x", "-1", "1" * 30])
def test_stream_of_a_job_that_is_not_there_is_404(server: Server, job_id: str) -> None:
    answer = server.call("GET", f"/v1/jobs/{job_id}/events")
    assert (answer.status, answer.type) == (404, "application/problem+json")


def test_every_wrong_parameter_is_told(server: Server) -> None:
    answer = server.call("GET", "/v1/events?type=job.added,job.vanished&state=final&queue=a%20b&tag.x=1&context=%00")
    assert answer.status == 400
    pointers = sorted(problem["pointer"] for problem in answer.json["errors"])
    assert pointers == ["/context", "/queue", "/state", "/tag.x", "/type"]
    assert server.call("GET", "/v1/jobs/1/events?type=job.added").status == 400


def test_filters_let_through_what_they_name(server: Server, target: Target, path: str) -> None:
    context = path[1:]
    filters = f"?context={context}&queue={context}&type=job.completed,job.added&state=completed"
    with event_stream(server, f"/v1/events{filters}") as stream:
        for queue in ("default", context):
            server.run({"type": "http", "url": target.on(path)}, context=context, queue=queue)
        (only,) = stream.events(1)
    assert (only.name, only.data["queue"]) == ("job.completed", context)


@pytest.mark.parametrize("how", ["header", "parameter", "header wins"])
def test_stream_is_resumed_exactly_where_it_broke_off(server: Server, target: Target, path: str, how: str) -> None:
    context = path[1:]
    filters = f"?context={context}"
    seen: list[Told] = []
    with event_stream(server, f"/v1/events{filters}") as stream:
        server.run({"type": "http", "url": target.on(path)}, context=context)
        seen += stream.events(1)
    for _ in range(8):
        server.run({"type": "http", "url": target.on(path)}, context=context)
        last = seen[-1].id
        query, headers = filters, {}
        if how != "header":
            query += f"&last_event_id={last if how == 'parameter' else 'old-1'}"
        if how != "parameter":
            headers["Last-Event-ID"] = last
        with event_stream(server, f"/v1/events{query}", headers) as stream:
            seen += stream.events(3)
    numbers = [one.number for one in seen]
    assert numbers == sorted(set(numbers))
    assert names(seen)[:24] == ["job.added", "job.started", "job.completed"] * 8


def test_event_of_another_run_is_reset(make_server: Starter, target: Target, path: str) -> None:
    server = make_server("--shutdown-grace", "0").start()
    with event_stream(server) as stream:
        server.run({"type": "http", "url": target.on(path)})
        last = stream.events(3)[-1]
    assert server.stop() == 0
    server.start()
    job = server.add({"type": "http", "url": target.on(path)}, delay=3600)
    with event_stream(server, headers={"Last-Event-ID": last.id}) as stream:
        server.run({"type": "http", "url": target.on(path)})
        reset, added = stream.events(2)
    assert (reset.name, reset.data) == ("reset", {"reason": "the event is not of this run of the server"})
    assert (added.name, added.data["job_id"]) == ("job.added", job + 1)
    with event_stream(server, f"/v1/jobs/{job}/events", {"Last-Event-ID": last.id}) as stream:
        assert names(stream.events(2)) == ["reset", "job"]


PINGING = """
import queue_server.web.v1.events as events
events.PING_S = 0.05
events.Events.__init__.__defaults__ = (0.05,)
import queue_server.cli.main
queue_server.cli.main.run()
"""


def test_silence_is_filled_with_pings(make_server: Starter, target: Target, path: str) -> None:
    server = make_server(program=(sys.executable, "-c", PINGING)).start()
    with event_stream(server) as stream:
        frames = stream.frames()
        assert [next(frames).name for _ in range(4)] == ["", ":", ":", ":"]
        server.add({"type": "http", "url": target.on(path)})
        assert next(frame for frame in frames if frame.name != ":").name == "job.added"
        assert next(frame for frame in frames if frame.name == ":").data == "ping"


@pytest.mark.parametrize("path", ["/v1/events", "/v1/jobs/1/events"])
def test_head_is_answered_with_the_head_alone(server: Server, target: Target, path: str) -> None:
    server.run({"type": "http", "url": target.on("/head")})
    with connect(server.port) as channel:
        channel.sendall(b"HEAD %b HTTP/1.1\r\nHost: h\r\n\r\n" % path.encode())
        channel.sendall(GET % (b"/healthz", b""))
        data = read_answer(channel)
        while b"ok" not in data:
            data += read_answer(channel)
    head, _, rest = data.partition(b"\r\n\r\n")
    assert b"200 OK" in head
    assert b"text/event-stream" in head
    assert parse(rest).json == {"status": "ok"}


def open_raw(server: Server, receive_buffer: int = 0) -> socket.socket:
    """A stream of which its beginning has been read."""
    channel = socket.socket()
    channel.settimeout(10)
    if receive_buffer:
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    channel.connect(("127.0.0.1", server.port))
    channel.sendall(GET % (b"/v1/events", b""))
    data = b""
    while b"retry" not in data:
        data += channel.recv(4096)
    return channel


@pytest.mark.parametrize("how", ["close", "reset", "half"])
def test_client_that_goes_is_forgotten_at_once(server: Server, how: str) -> None:
    before = sockets(server)
    channels = [open_raw(server) for _ in range(20)]
    assert sockets(server) >= before + 15
    for channel in channels:
        if how == "reset":
            channel.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        if how == "half":
            channel.shutdown(socket.SHUT_WR)
            assert channel.recv(4096) == b"0\r\n\r\n"
        channel.close()
    until(lambda: sockets(server) <= before + 3, 5, "the end of all streams")


def test_client_that_went_before_the_answer_began_is_forgotten(server: Server) -> None:
    before = sockets(server)
    for _ in range(20):
        with connect(server.port) as channel:
            channel.sendall(GET % (b"/v1/events", b""))
    until(lambda: sockets(server) <= before + 3, 5, "the end of all streams")


def test_client_that_sent_another_request_behind_and_goes_is_forgotten_by_the_second_ping(make_server: Starter) -> None:
    """What is sent behind a stream may wait unread, and with it the news that the client has gone."""
    server = make_server(program=(sys.executable, "-c", PINGING)).start()
    before = sockets(server)
    for _ in range(5):
        with open_raw(server) as channel:
            channel.sendall(GET % (b"/healthz", b""))
    until(lambda: sockets(server) <= before, 5, "the end of all streams")


SMALL = """
import queue_server.telemetry.job_events as job_events
job_events.READERS_LIMIT = 3
import queue_server.cli.main
queue_server.cli.main.run()
"""


def test_one_stream_too_many_is_refused_until_one_ends(make_server: Starter) -> None:
    server = make_server(program=(sys.executable, "-c", SMALL)).start()
    with event_stream(server), event_stream(server):
        with event_stream(server):
            answer = server.call("GET", "/v1/events")
            assert (answer.status, answer.headers["Retry-After"]) == (503, "10")

        def is_let_in() -> bool:
            try:
                with event_stream(server):
                    return True
            except AssertionError:
                return False

        until(is_let_in, 5)


def test_client_that_does_not_read_is_cut_off_with_flat_memory(make_server: Starter, target: Target) -> None:
    server = make_server().start()
    command = {"type": "http", "url": target.url, "params": {"p": "x" * 10}}
    batch = [{"command": command, "delay": 3600, "context": "c" * 250} for _ in range(2_000)]
    # fewer than the server remembers, so that readers are told all of them and are not reset instead

    def add_batch() -> None:
        answer = server.call("POST", "/v1/jobs/batch", batch)
        assert answer.status == 201, answer

    with contextlib.ExitStack() as stack:
        keen = stack.enter_context(event_stream(server, "/v1/events?type=job.completed"))
        open_before = sockets(server)
        first = stack.enter_context(open_raw(server, receive_buffer=4096))
        for _ in range(40):
            add_batch()
        before = server.memory_kib()
        stuck = [stack.enter_context(open_raw(server, receive_buffer=4096)) for _ in range(8)]
        batches = 0
        while batches < 50 or sockets(server) > open_before:
            add_batch()
            batches += 1
            assert batches < 400, "a client that does not read is not cut off"
        grown = server.memory_kib() - before
        print(f"memory grew by {grown} KiB while {batches * len(batch):,} events passed clients that don't read")
        server.run({"type": "http", "url": target.on("/keen")})
        assert names(keen.events(1)) == ["job.completed"]
        for channel in (first, *stuck):
            assert not read_to_end(channel).endswith(END_OF_CHUNKS)
    assert grown < 15_000


def read_to_end(channel: socket.socket) -> bytes:
    """The end of what the kernel still has of a stream that was cut off."""
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := channel.recv(1 << 20):
            data = (data + piece)[-100:]
    return data


def test_streams_and_waiting_requests_end_with_the_server(make_server: Starter, target: Target, path: str) -> None:
    server = make_server("--shutdown-grace", "0").start()
    job = server.add({"type": "http", "url": target.on(path)}, delay=3600)
    with contextlib.ExitStack() as stack:
        streams = [
            stack.enter_context(event_stream(server, f"/v1/jobs/{job}/events" if number % 2 else "/v1/events"))
            for number in range(100)
        ]
        waiting = [stack.enter_context(connect(server.port)) for _ in range(100)]
        for channel in waiting:
            channel.sendall(GET % (b"/v1/jobs/%d?wait=60" % job, b""))
        until(lambda: sockets(server) >= 200)
        seconds, code = timed(server.stop)
        assert code == 0
        assert seconds < 2
        for stream in streams:
            stream.seconds_to_end()
        answers: list[Answer] = [parse(read_answer(channel)) for channel in waiting]
    assert {(answer.status, answer.json["state"]) for answer in answers} == {(200, "scheduled")}


def test_server_stops_in_time_beside_clients_that_do_not_read(make_server: Starter, target: Target) -> None:
    server = make_server("--shutdown-grace", "0").start()
    batch = [{"command": {"type": "http", "url": target.url}, "delay": 3600, "context": "c" * 250}] * 9000
    with contextlib.ExitStack() as stack:
        for _ in range(10):
            stack.enter_context(open_raw(server, receive_buffer=4096))
        for _ in range(3):
            assert server.call("POST", "/v1/jobs/batch", batch).status == 201
        assert server.call("GET", "/healthz").status == 200
        seconds, code = timed(server.stop)
    assert code == 0
    assert seconds < 2


def test_ends_during_the_grace_time_are_still_told(make_server: Starter, target: Target, path: str) -> None:
    server = make_server("--shutdown-grace", "20").start()
    release = threading.Event()
    job = server.add({"type": "http", "url": target.on(path, Reply(hold=release))})
    target.wait(path)
    with event_stream(server) as stream, event_stream(server, f"/v1/jobs/{job}/events") as of_job:
        server.signal(signal.SIGTERM)
        until(lambda: "SIGTERM: stopping" in server.log)
        release.set()
        assert names(stream.events(1)) == ["job.completed"]
        assert names(of_job.events(10)) == ["job", "job.completed"]
        assert server.ended() == 0


def test_server_takes_no_new_streams_at_its_very_end_but_does_before(
    make_server: Starter, target: Target, path: str
) -> None:
    server = make_server("--shutdown-grace", "20").start()
    release = threading.Event()
    server.add({"type": "http", "url": target.on(path, Reply(hold=release))})
    target.wait(path)
    server.signal(signal.SIGTERM)
    until(lambda: "SIGTERM: stopping" in server.log)
    with event_stream(server) as stream:
        release.set()
        assert names(stream.events(5)) == ["job.completed"]
    assert server.ended() == 0


def test_many_readers_hear_every_event_of_many_jobs_in_order(server: Server, target: Target, path: str) -> None:
    context, count = path[1:], 300
    heard: list[list[Told]] = []

    def hear(stream: EventStream) -> None:
        heard.append(stream.events(3 * count, 30))

    with contextlib.ExitStack() as stack:
        streams = [stack.enter_context(event_stream(server, f"/v1/events?context={context}")) for _ in range(10)]
        threads = [threading.Thread(target=hear, args=(stream,)) for stream in streams]
        for thread in threads:
            thread.start()
        target.on(path)
        for _ in range(count):
            server.add({"type": "http", "url": target.url + path}, context=context)
        for thread in threads:
            thread.join(40)
    assert len(heard) == 10
    assert all(one == heard[0] for one in heard)
    by_job = {
        job: names(list(events))
        for job, events in itertools.groupby(
            sorted(heard[0], key=lambda one: (one.data["job_id"], one.number)), lambda one: one.data["job_id"]
        )
    }
    assert len(by_job) == count
    assert {tuple(each) for each in by_job.values()} == {("job.added", "job.started", "job.completed")}


def test_event_comes_soon(server: Server, target: Target, path: str) -> None:
    with event_stream(server, f"/v1/events?context={path[1:]}&type=job.added") as stream:
        delays = []
        for _ in range(20):
            job = server.add({"type": "http", "url": target.on(path, NEVER)}, context=path[1:], delay=3600)
            begin = time.monotonic()
            (event,) = stream.events(1)
            delays.append(time.monotonic() - begin)
            assert event.data["job_id"] == job
    print(f"answer to event: median {sorted(delays)[10] * 1000:.2f} ms, worst {max(delays) * 1000:.2f} ms")
