"""The bare limit of running http jobs: pyreqwest posts what the server would post, over and over.

Ends after a number of requests or of seconds, whichever comes first; hands in the work done.
"""

import argparse
import asyncio
import time
from typing import Any

import uvloop
from pyreqwest.client import ClientBuilder

from tests.performance.work import Work, hand_in

# As many bytes as the server sends with a job.
HEADERS = {
    "Content-Type": "application/x-www-form-urlencoded",
    "User-Agent": "QueueServer/0.1.0",
    "X-Queue-Job-Id": "12345",
    "X-Queue-Attempt": "1",
    "X-Queue-Claim": "1",
    "Idempotency-Key": "12345",
}
BODY = b"username=michael"


async def post(client: Any, url: str) -> None:
    """Send one request as the server does and read the answer."""
    reply = await client.post(url).headers(HEADERS).body_bytes(BODY).build().send()
    if reply.status != 200:
        raise ValueError(f"the target answered {reply.status}")
    await reply.bytes()


class Loop:
    """A number of workers that share the requests that are still to be sent."""

    def __init__(self, url: str, requests: int, seconds: float) -> None:
        self.url = url
        self.unsent = requests
        self.done = 0
        self.seconds = seconds

    async def run(self, concurrency: int) -> Work:
        client, begin = ClientBuilder().build(), time.monotonic()
        async with asyncio.TaskGroup() as workers:
            for _ in range(concurrency):
                workers.create_task(self.work(client, begin + self.seconds))
        return Work(amount=self.done, seconds=time.monotonic() - begin, cpu_s=time.process_time())

    async def work(self, client: Any, end: float) -> None:
        while self.unsent > 0 and time.monotonic() < end:
            self.unsent -= 1
            await post(client, self.url)
            self.done += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--concurrency", type=int, required=True)
    parser.add_argument("--requests", type=int, default=1_000_000_000)
    parser.add_argument("--seconds", type=float, default=600.0)
    options = parser.parse_args()
    loop = Loop(options.url, options.requests, options.seconds)
    hand_in(uvloop.run(loop.run(options.concurrency)))


if __name__ == "__main__":
    main()
