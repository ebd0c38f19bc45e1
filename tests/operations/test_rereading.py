"""What other nodes have changed is read again: once for what has changed, and again after a failure."""

import asyncio
import contextlib

import pytest

from queue_server.domain.errors import StoreUnavailable
from queue_server.operations import rereading
from queue_server.operations.rereading import Rereading


class Changes:
    def __init__(self):
        self.tell = None

    def on_kept(self, listener):
        self.tell = listener


class Part:
    """Something that is read; it fails as often as it is told to."""

    def __init__(self, failures=0):
        self.failures = failures
        self.reads = asyncio.Queue()

    async def __call__(self):
        if self.failures:
            self.failures -= 1
            raise StoreUnavailable("gone")
        self.reads.put_nowait(None)


@contextlib.asynccontextmanager
async def running(changes, *parts, anyway_s=60.0):
    task = asyncio.create_task(Rereading(changes, parts).run(anyway_s))
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        yield
    task.cancel()


async def test_change_has_all_parts_read_again():
    changes, parts = Changes(), [Part(), Part()]
    async with running(changes, *parts):
        for _ in range(2):
            changes.tell()
            for part in parts:
                await part.reads.get()
    assert all(part.reads.empty() for part in parts), "nothing is read without a change"


async def test_failure_is_tried_again_without_another_change(monkeypatch):
    monkeypatch.setattr(rereading, "AGAIN_S", 0.01)
    changes, part = Changes(), Part(failures=2)
    async with running(changes, part):
        changes.tell()
        await part.reads.get()


@pytest.mark.parametrize("failures", [0, 1])
async def test_what_changed_unseen_is_read_after_a_while(failures, monkeypatch):
    monkeypatch.setattr(rereading, "AGAIN_S", 0.01)
    part = Part(failures)
    async with running(Changes(), part, anyway_s=0.01):
        await part.reads.get()
