"""Adds jobs without end, as a process of its own: a line before each attempt to add, and one for its answer.

`python -m tests.chaos.producer LOG SERVER_PORT TARGET_PORT CALLBACK_PORT`; ends when its stdin is closed.
"""

import http.client
import itertools
import json
import os
import sys
import threading

THREADS = 4
PAUSE_S = 0.02
"""After an answer that is not 200: the server is down or stopping."""

_numbers = itertools.count(1)
_stop = threading.Event()


def add_jobs(log: int, server: int, target: int, callback: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server, timeout=20)
    while not _stop.is_set():
        number = next(_numbers)
        job = {
            "command": {"type": "http", "url": f"http://127.0.0.1:{target}/run?n={number}"},
            "callback_done": {"type": "http", "url": f"http://127.0.0.1:{callback}/done?n={number}", "method": "POST"},
        }
        write(log, n=number, what="sent")
        try:
            connection.request("POST", "/jobs/add", json.dumps(job), {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer = json.loads(response.read())
        except ConnectionRefusedError:
            write(log, n=number, what="refused")
        except (OSError, http.client.HTTPException, ValueError):
            write(log, n=number, what="unknown")
        else:
            if response.status == 200:
                write(log, n=number, what="accepted", id=answer["job_id"])
                continue
            write(log, n=number, what="refused", status=response.status)
        connection.close()
        _stop.wait(PAUSE_S)


def write(log: int, **facts: object) -> None:
    os.write(log, json.dumps(facts).encode() + b"\n")


if __name__ == "__main__":
    file = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    ports = [int(argument) for argument in sys.argv[2:]]
    threads = [threading.Thread(target=add_jobs, args=(file, *ports)) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    _stop.set()
    for thread in threads:
        thread.join()
