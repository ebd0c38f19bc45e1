"""The server stops in good order: what runs may end, the rest is given back, nothing is lost."""

import signal
import threading
from pathlib import Path

import pytest

from tests.support.fixtures import Starter
from tests.support.raw import connect, parse, read_answer
from tests.support.server import Server, timed
from tests.support.target import NEVER, OK, Reply, Target
from tests.support.waiting import until


def test_sigterm_lets_running_jobs_end_and_takes_no_new_ones(make_server: Starter, target: Target, path: str) -> None:
    server = make_server("--shutdown-grace", "20").start()
    release = threading.Event()
    running = server.add({"type": "http", "url": target.on(path, Reply(hold=release))})
    waiting = server.add({"type": "http", "url": target.on(path + "/later")}, delay=3600)
    target.wait(path)
    server.signal(signal.SIGTERM)
    until(lambda: "SIGTERM: stopping" in server.log)
    answer = server.call("POST", "/jobs/add", {"command": {"type": "http", "url": target.url}})
    assert (answer.status, answer.headers["Retry-After"]) == (503, "10")
    assert answer.json == {"status": 503, "data": "the server is stopping"}
    assert server.call("GET", "/readyz").status == 503
    assert server.call("GET", "/healthz").status == 200
    assert server.get("/jobs/status")["data"]["working"] == 1
    release.set()
    assert server.ended() == 0
    server.start()
    assert server.job(running)["state"] == "completed"
    assert server.job(waiting)["state"] == "scheduled"
    assert len(target.of(path)) == 1


def test_client_that_had_connected_gets_its_answer(make_server: Starter) -> None:
    server = make_server().start()
    with connect(server.port) as channel:
        assert server.call("GET", "/healthz").status == 200  # the older connection is known by then
        server.signal(signal.SIGTERM)
        until(lambda: is_refused(server.port), 10, "the end of listening")
        channel.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        answer = parse(read_answer(channel))
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert channel.recv(1) == b""
    assert server.ended() == 0


def is_refused(port: int) -> bool:
    """Whether nobody listens."""
    try:
        connect(port).close()
    except ConnectionRefusedError:
        return True
    return False


def test_waiting_jobs_are_not_started_while_stopping(make_server: Starter, target: Target, path: str) -> None:
    server = make_server("--shutdown-grace", "20", "--concurrency", "1").start()
    release = threading.Event()
    server.add({"type": "http", "url": target.on(path, Reply(hold=release))})
    second = server.add({"type": "http", "url": target.on(path + "/second")})
    target.wait(path)
    server.signal(signal.SIGTERM)
    until(lambda: "SIGTERM: stopping" in server.log)
    release.set()
    assert server.ended() == 0
    assert target.of(path + "/second") == []
    server.start()
    assert server.wait_end(second)["state"] == "completed"


def test_jobs_beyond_the_grace_time_are_given_back_and_run_again(
    make_server: Starter, target: Target, path: str
) -> None:
    server = make_server("--shutdown-grace", "0.3").start()
    target.on(path, NEVER, OK)
    job = server.add({"type": "http", "url": target.url + path})
    target.wait(path)
    assert server.stop() == 0
    assert "running jobs interrupted and given back" in server.log
    server.start()
    ended = server.wait_end(job)
    assert (ended["state"], ended["attempt"], ended["max_attempts"]) == ("completed", 2, 1)
    requests = target.of(path)
    assert [request.header("X-Queue-Claim") for request in requests] == ["1", "2"]
    attempts = server.get(f"/v1/jobs/{job}/attempts")["items"]
    assert [attempt["outcome"] for attempt in attempts] == ["interrupted", "succeeded"]


def test_given_back_attempts_do_not_count_however_often(make_server: Starter, target: Target, path: str) -> None:
    server = make_server("--shutdown-grace", "0")
    target.on(path, NEVER, NEVER, Reply(500))
    server.start()
    job = server.add({"type": "http", "url": target.url + path}, retry={"max_attempts": 1})
    for round_ in range(2):
        target.wait(path, round_ + 1)
        assert server.stop() == 0
        server.start()
    ended = server.wait_end(job)
    assert (ended["state"], ended["exit_code"], ended["attempt"]) == ("failed", 500, 3)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_second_signal_stops_at_once(make_server: Starter, target: Target, path: str, number: signal.Signals) -> None:
    server = make_server("--shutdown-grace", "60", "--exec", "any").start()
    job = server.add({"type": "http", "url": target.on(path, NEVER)})
    command = server.add({"type": "exec", "cmd": "trap '' TERM; echo $$ > pid; sleep 60", "cwd": str(server.folder)})
    target.wait(path)
    pid = int(until(lambda: (server.folder / "pid").exists() and (server.folder / "pid").read_text().strip()))
    server.signal(number)
    until(lambda: "once more stops at once" in server.log)
    server.signal(number)
    seconds, code = timed(server.ended)
    assert code == 0
    assert seconds < 4
    assert not Path(f"/proc/{pid}").exists()
    assert server.log.rstrip().endswith("stopped")
    server.start()
    assert {server.job(job)["state"], server.job(command)["state"]} <= {"available", "running"}


def test_third_signal_ends_the_process_whatever_it_does(make_server: Starter, target: Target, path: str) -> None:
    server = make_server("--shutdown-grace", "60").start()
    server.add({"type": "http", "url": target.on(path, NEVER)})
    target.wait(path)
    server.signal(signal.SIGINT)
    until(lambda: "once more stops at once" in server.log)
    server.signal(signal.SIGINT)
    until(lambda: "SIGINT again" in server.log)
    server.signal(signal.SIGINT)  # the second one may have been enough by now
    assert server.ended(5) in (0, 130)


def test_idle_connections_do_not_delay_the_end(make_server: Starter) -> None:
    server = make_server("--shutdown-grace", "30").start()
    with connect(server.port) as channel, connect(server.port):
        channel.sendall(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n")
        assert parse(read_answer(channel)).status == 200
        seconds, code = timed(server.stop)
    assert code == 0
    assert seconds < 3


def test_clean_stop_and_start_lose_no_waiting_job(make_server: Starter, target: Target, path: str) -> None:
    server = make_server("--shutdown-grace", "10", "--concurrency", "5").start()
    target.on(path, Reply(delay=0.02))
    jobs = [server.add({"type": "http", "url": f"{target.url}{path}?{n}"}) for n in range(60)]
    for _ in range(2):
        assert server.stop() == 0
        server.start()
    assert {server.wait_end(job)["state"] for job in jobs} == {"completed"}
    assert sorted(request.target for request in target.of(path)) == sorted(f"{path}?{n}" for n in range(60))


def test_open_request_is_answered_before_the_end(make_server: Starter, server: Server) -> None:
    """An add that is on its way when SIGTERM comes is either durable and answered, or refused."""
    mine = make_server("--shutdown-grace", "0").start()
    answers: list[int] = []

    def adding() -> None:
        while True:
            try:
                answer = mine.call("POST", "/jobs/add", {"command": {"type": "http", "url": server.url}, "delay": 3600})
            except OSError:
                return
            answers.append(answer.json.get("job_id", 0) if answer.status == 200 else -answer.status)

    threads = [threading.Thread(target=adding) for _ in range(4)]
    for thread in threads:
        thread.start()
    until(lambda: len(answers) > 50)
    assert mine.stop() == 0
    for thread in threads:
        thread.join(10)
    assert {answer for answer in answers if answer < 0} <= {-503}
    mine.start()
    kept = {item["id"] for item in mine.get("/v1/jobs?limit=1000")["items"]}
    assert {answer for answer in answers if answer > 0} <= kept
