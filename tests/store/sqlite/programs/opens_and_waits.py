"""Opens a database and holds it until its stdin ends. Prints "open", or in one line why it can't.

Usage: opens_and_waits.py DATABASE
"""

import asyncio
import sys
from pathlib import Path

from queue_server.clock import SystemClock
from queue_server.domain.errors import StoreRefused
from queue_server.store.sqlite.store import SqliteStore


async def main(database: Path) -> int:
    try:
        store = SqliteStore(database, SystemClock(), asyncio.get_running_loop())
    except StoreRefused as refusal:
        print(f"refused: {refusal}", flush=True)
        return 1
    print("open", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await store.close()
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(Path(sys.argv[1]))))
