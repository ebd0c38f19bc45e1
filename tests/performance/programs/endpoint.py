"""The bare limit of accepting: an ASGI endpoint that decodes a job and answers; nothing is stored or run."""

import sys
from typing import Any

import msgspec
import uvicorn

decode = msgspec.json.Decoder().decode


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    body = (await receive())["body"]
    decode(body)
    answer = b'{"status":"OK","job_id":12345}'
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


if __name__ == "__main__":
    uvicorn.run(
        application,
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        lifespan="off",
        access_log=False,
        log_level="error",
        backlog=4096,
    )
