"""Add a job that requests a URL, wait for its end, and print what came back.

    python add_and_wait.py https://example.com/

The server is that of QUEUE_SERVER_URL, by default http://127.0.0.1:1337.
"""

import sys

from queue_server.client import Client, Invalid, StillGoingOn

with Client() as client:
    try:
        job = client.add(
            url=sys.argv[1],
            timeout=20,
            retry={"max_attempts": 5, "min_delay": 2},
            tags={"example": "add_and_wait"},
        )
        print(f"job {job.id} is {job.state}")
        job = client.wait(job.id, timeout=120)
    except Invalid as error:
        sys.exit("\n".join(f"{mistake.pointer}: {mistake.detail}" for mistake in error.errors))
    except StillGoingOn:
        sys.exit(client.explain(job.id).sentence)

    print(f"job {job.id} {job.state} after {job.attempt} attempts: {job.exit_code}")
    if job.has_failed:
        sys.exit(job.reason)
    print(client.output(job.id).decode("utf-8", "replace"))
