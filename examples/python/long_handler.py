"""A web server whose work takes longer than a request should.

    python long_handler.py 8080
    queue-server add http://127.0.0.1:8080/report

It answers at once that it goes on (202 and X-Queue-Continue), works in a thread that gives signs of life, and reports
the result. A job that somebody cancels is given up. The server of jobs is that of QUEUE_SERVER_URL.
"""

import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from queue_server.client import Client, ClientError, Conflict

STEPS = 3
client = Client()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        job_id, claim = int(self.headers["X-Queue-Job-Id"]), int(self.headers["X-Queue-Claim"])
        self.send_response(202)
        self.send_header("X-Queue-Continue", "true")
        self.send_header("X-Queue-Heartbeat", "10")  # seconds without a sign of life until it counts as dead
        self.send_header("Content-Length", "0")
        self.end_headers()
        threading.Thread(target=work, args=(job_id, claim, self.path), daemon=True).start()

    do_POST = do_GET  # noqa: N815 (http.server's name)


def work(job_id: int, claim: int, path: str) -> None:
    try:
        for step in range(STEPS):
            time.sleep(0.2)  # the work
            beat = client.heartbeat(job_id, claim, message=f"step {step + 1} of {STEPS}")
            if beat.cancel_requested:
                client.fail(job_id, claim, error="given up, as it was asked to")
                return
        client.complete(job_id, claim, output=f"{path} is done\n")
    except Conflict:
        print(f"job {job_id} is somebody else's by now", file=sys.stderr)
    except ClientError as error:
        print(f"job {job_id}: {error}", file=sys.stderr)  # without a sign of life the server tries it again


with ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler) as server:
    print(f"listens on http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
