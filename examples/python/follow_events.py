"""Print each failure as it happens, for ever; broken connections and restarts of the server are survived.

    python follow_events.py

The server is that of QUEUE_SERVER_URL, by default http://127.0.0.1:1337.
"""

import asyncio

from queue_server.client import AsyncClient


async def main() -> None:
    async with AsyncClient() as client:
        print("waiting for failures", flush=True)
        async for event in client.events(type="job.failed"):
            if event.type == "reset":
                print("some events were missed: look at the list of failed jobs", flush=True)
                continue
            explanation = await client.explain(event.job_id)
            print(f"{event.at:%H:%M:%S}  job {event.job_id}: {explanation.sentence}", flush=True)


asyncio.run(main())
