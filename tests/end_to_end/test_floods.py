"""Others are served while clients flood the server with large batches."""

import json
import threading

from tests.support.fixtures import Starter
from tests.support.raw import connect, parse, read_answer
from tests.support.server import Server

PATH = "/v1/jobs/batch"
JOBS, CLIENTS = 10_000, 12


def job() -> dict[str, object]:
    return {"delay": 3600, "command": {"type": "http", "url": "http://127.0.0.1:9/"}}


class Flood:
    """Clients that each send a large batch; how many have been answered."""

    def __init__(self, server: Server) -> None:
        body = json.dumps([job()] * JOBS).encode()
        request = f"POST {PATH} HTTP/1.1\r\nHost: h\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
        self._port = server.port
        self._lock = threading.Lock()
        self.answered = 0
        self.threads = [threading.Thread(target=self._send, args=(request,)) for _ in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def _send(self, request: bytes) -> None:
        with connect(self._port, 60) as channel:
            channel.sendall(request)
            answer = parse(read_answer(channel))
        assert (answer.status, answer.json["count"]) == (201, JOBS)
        with self._lock:
            self.answered += 1


def test_single_add_does_not_wait_for_all_batches_that_came_before_it(make_server: Starter) -> None:
    server = make_server().start()
    flood = Flood(server)
    waited: list[int] = []
    while any(thread.is_alive() for thread in flood.threads):
        before = flood.answered
        assert server.call("POST", "/jobs/add", job()).status == 200
        waited.append(flood.answered - before)
    assert flood.answered == CLIENTS
    assert max(waited) <= CLIENTS // 3, waited
    assert server.get("/jobs/status")["data"]["waiting"] == CLIENTS * JOBS + len(waited)
