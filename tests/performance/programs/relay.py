"""The bare limit of latency: decodes a job, commits it to SQLite, answers, and posts to the target.

The shortest way that a durable job can go: one ASGI endpoint without threads or a queue.
"""

import sys
from typing import Any

import msgspec
import uvicorn
from pyreqwest.client import ClientBuilder

from tests.performance.programs.inserts import INSERT, open_database
from tests.performance.programs.requests import post

decode = msgspec.json.Decoder().decode


class Relay:
    """The application; the client is made with the first request because it needs the running loop."""

    def __init__(self, database: str) -> None:
        self.database = open_database(database)
        self.client: Any = None

    async def __call__(self, _scope: dict[str, Any], receive: Any, send: Any) -> None:
        body = (await receive())["body"]
        url = decode(body)["command"]["url"]
        self.database.execute(INSERT, (500, body))
        answer = b'{"status":"OK","job_id":%d}' % self.database.last_insert_rowid()
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})
        self.client = self.client or ClientBuilder().build()
        await post(self.client, url)


if __name__ == "__main__":
    uvicorn.run(
        Relay(sys.argv[2]),
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        lifespan="off",
        access_log=False,
        log_level="error",
    )
