"""Both clients behind one face, so that each test holds for both."""

import asyncio
from collections.abc import Iterator
from typing import Any, Protocol, Self

from queue_server.client import AsyncClient, Client


class Talk(Protocol):
    """Calls a method by its name."""

    def call(self, method: str, *arguments: Any, **options: Any) -> Any:
        """What the method returns."""
        ...

    def items(self, method: str, *arguments: Any, **options: Any) -> Iterator[Any]:
        """What the method gives, one by one."""
        ...


class SyncTalk:
    def __init__(self, url: str, **options: Any) -> None:
        self.client = Client(url, **options)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def call(self, method: str, *arguments: Any, **options: Any) -> Any:
        return getattr(self.client, method)(*arguments, **options)

    def items(self, method: str, *arguments: Any, **options: Any) -> Iterator[Any]:
        return getattr(self.client, method)(*arguments, **options)


class AsyncTalk:
    def __init__(self, url: str, **options: Any) -> None:
        self.client = AsyncClient(url, **options)
        self._runner = asyncio.Runner()

    def __enter__(self) -> Self:
        self._runner.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.run(self.client.close())
        self._runner.close()

    def call(self, method: str, *arguments: Any, **options: Any) -> Any:
        return self._runner.run(getattr(self.client, method)(*arguments, **options))

    def items(self, method: str, *arguments: Any, **options: Any) -> Iterator[Any]:
        items = getattr(self.client, method)(*arguments, **options)
        try:
            while True:
                try:
                    yield self._runner.run(anext(items))
                except StopAsyncIteration:
                    return
        finally:
            self._runner.run(items.aclose())
