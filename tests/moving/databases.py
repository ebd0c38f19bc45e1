"""Empty databases of each kind, by the `db` setting that names them."""

import asyncio
import itertools
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from queue_server.clock import ServerClock
from queue_server.config.settings import Settings
from queue_server.store.contract import Store
from queue_server.store.open import open_store
from tests.support.databases import database, mysql_server, postgres_server

_numbers = itertools.count()


@contextmanager
def _sqlite(folder: Path) -> Iterator[str]:
    yield f"sqlite:///{folder}/{next(_numbers)}.db"


KINDS: Mapping[str, Callable[[Path], AbstractContextManager[str]]] = {
    "sqlite": _sqlite,
    "postgres": lambda _folder: database(postgres_server()),
    "mysql": lambda _folder: database(mysql_server()),
}


def with_store(db: str, use: Callable[[Store], Coroutine[Any, Any, None]]) -> None:
    """Use the store of a database, then close it."""

    async def run() -> None:
        store = await open_store(Settings(db=db), ServerClock())
        try:
            await use(store)
        finally:
            await store.close()

    asyncio.run(run())
