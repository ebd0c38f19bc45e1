"""A target as a process of its own: writes a line for each request before it answers.

`python -m tests.chaos.recorder LOG DELAY` prints its port on stdout, and ends when its stdin is closed.
"""

import asyncio
import json
import os
import sys
import time
from pathlib import Path

FACTS = {"x-queue-job-id": "job", "x-queue-attempt": "attempt", "x-queue-claim": "claim", "x-queue-state": "state"}


async def serve(file: Path, delay: float) -> None:
    log = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                os.write(log, json.dumps(await read_facts(reader)).encode() + b"\n")
                if delay:
                    await asyncio.sleep(delay)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    os._exit(0)  # open connections must not keep it


async def read_facts(reader: asyncio.StreamReader) -> dict[str, object]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
    await reader.readexactly(int(headers.get("content-length", 0)))
    facts: dict[str, object] = {name: headers[header] for header, name in FACTS.items() if header in headers}
    return facts | {"n": head[0].split(" ")[1].partition("=")[2], "at": time.monotonic()}


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), float(sys.argv[2])))
