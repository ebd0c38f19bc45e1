import asyncio
import subprocess
import threading

import apsw
import msgspec
import pytest

from queue_server.domain.errors import StoreError, StoreUnavailable
from queue_server.domain.state import State
from queue_server.store.contract import Claim
from queue_server.store.sqlite import checkpoints, readers
from queue_server.store.sqlite import store as store_module
from queue_server.store.sqlite.session import Session
from tests.builders.jobs import DAY, HTTP, NOW, decided, new_job
from tests.builders.stores import ALL_SLOTS, SqliteBackend, add_and_claim, claim_all, opened
from tests.builders.strategies import shell
from tests.support.mounts import small_disk

LARGE = new_job(shell("cat", stdin="x" * 20_000))


async def on_writer(store, action):
    """Have the writer's thread do something with its connection, outside a transaction of ours."""
    return await store._call(action)


async def fill(store) -> list[int]:
    """Add jobs until there is no room; the ids that were acknowledged."""
    ids: list[int] = []
    while True:
        try:
            ids += await store.add([LARGE])
        except StoreUnavailable as full:
            refusal = full
            break
    assert str(refusal).startswith("the disk that holds ")
    assert str(refusal).endswith(" is full")
    assert refusal.retry_after > 1
    return ids


# A full disk.


async def test_full_disk_refuses_adds_and_loses_nothing(tmp_path):
    with small_disk(tmp_path / "disk", "1m") as folder:
        backend = SqliteBackend(folder)
        heard = []
        async with opened(backend) as store:
            store.on_failure(heard.append)
            ids = await fill(store)
            assert await store.counts() == backend.recount()
            assert [(await store.get(job_id)).id for job_id in ids] == ids, "it can still be read"
            subprocess.run(["mount", "-o", "remount,size=8m", folder], check=True)
            ids += await store.add([LARGE])
            assert ids == sorted(set(ids))
        async with opened(backend) as store:
            assert [await store.get(job_id) is not None for job_id in ids] == [True] * len(ids)
            assert (await store.counts())[State.AVAILABLE] == len(ids)
        assert heard == []


async def test_full_database_works_again_when_there_is_room(store, backend, node):
    """The portable way to a full disk: a limit on the number of pages."""
    running = await add_and_claim(store, node, new_job(callback_done=HTTP))
    await on_writer(store, lambda session: session._database.pragma("max_page_count", 60))
    ids = await fill(store)
    full = await asyncio.gather(*(store.add([LARGE]) for _ in range(5)), return_exceptions=True)
    assert [type(result) for result in full] == [StoreUnavailable] * 5
    await on_writer(store, lambda session: session._database.pragma("max_page_count", 1_000_000))
    (next_id,) = await store.add([LARGE])
    assert next_id == ids[-1] + 1, "what was refused has used no id"
    assert (await store.turn([decided(running)], None)).applied == [True]
    assert await store.counts() == backend.recount()


async def test_end_of_a_job_is_refused_whole_on_a_full_disk(store, backend, node):
    running = await add_and_claim(store, node, new_job(callback_done=HTTP))
    await on_writer(store, lambda session: session._database.pragma("max_page_count", 60))
    await fill(store)
    big = msgspec.structs.replace(decided(running).attempt.output, text=b"x" * 500_000)
    transition = decided(running, output=big)
    with pytest.raises(StoreUnavailable, match="is full"):
        await store.turn([transition], None)
    assert (await store.get(running.id)).state is State.RUNNING
    assert list(await store.attempts(running.id)) == []
    await on_writer(store, lambda session: session._database.pragma("max_page_count", 1_000_000))
    assert (await store.turn([transition], None)).applied == [True]
    assert await store.counts() == backend.recount()


# A disk that fails.


async def test_failed_sync_is_never_tried_again(disk, backend):
    store = await backend.open()
    heard = []
    store.on_failure(heard.append)
    ids = list(await store.add([new_job()]))
    disk.sync_error = apsw.IOError("no luck")
    with pytest.raises(StoreUnavailable, match=r"the disk that holds .+ failed \(.+\); nothing more is accepted"):
        await store.add([new_job()])
    syncs = len(disk.accesses)
    disk.sync_error = None
    for work in (
        store.add([new_job()]),
        store.turn((), None),
        store.purge({State.FAILED: 0}, NOW, 1),
        store.deregister(1),
    ):
        with pytest.raises(StoreUnavailable, match="nothing more is accepted"):
            await work
    with pytest.raises(StoreUnavailable, match="nothing more is accepted"):
        await asyncio.to_thread(store.heartbeat(1).beat, NOW)
    assert len(disk.accesses) == syncs, "nothing was written or synced any more"
    assert len(heard) == 1
    assert "failed" in heard[0]
    assert (await store.counts())[State.AVAILABLE] == 1
    await store.close()
    async with opened(backend) as store:
        assert await store.get(ids[0]) is not None


async def test_failed_sync_in_a_checkpoint_stops_the_store(disk, backend, monkeypatch):
    monkeypatch.setattr(checkpoints, "CHECKPOINT_PAGES", 20)
    store = await backend.open()
    heard = asyncio.get_running_loop().create_future()
    store.on_failure(heard.set_result)
    disk.failing_file, disk.sync_error = "", apsw.IOError("no luck")
    ids = await store.add([new_job() for _ in range(1000)])
    assert "nothing more is accepted" in await asyncio.wait_for(heard, 10)
    with pytest.raises(StoreUnavailable):
        await store.add([new_job()])
    disk.sync_error = None
    await store.close()
    async with opened(backend) as store:
        assert (await store.counts())[State.AVAILABLE] == len(ids)


async def test_failed_sync_fails_the_whole_group(disk, backend):
    store = await backend.open()
    async with _held(store):
        disk.sync_error = apsw.IOError("no luck")
        adds = [asyncio.ensure_future(store.add([new_job()])) for _ in range(10)]
        turn = asyncio.ensure_future(store.turn((), None))
        await asyncio.sleep(0)
    results = await asyncio.gather(*adds, turn, return_exceptions=True)
    assert [type(result) for result in results] == [StoreUnavailable] * 11
    disk.sync_error = None
    await store.close()


@pytest.mark.parametrize("error", [apsw.CorruptError("x"), apsw.NotADBError("x"), apsw.NoMemError("x")])
async def test_error_after_which_nothing_can_be_trusted_stops_the_store(store, error):
    heard = []
    store.on_failure(heard.append)
    with pytest.raises(StoreUnavailable):
        await on_writer(store, _raising(error))
    with pytest.raises(StoreUnavailable):
        await store.add([new_job()])
    assert len(heard) == 1


@pytest.mark.parametrize(
    "error", [apsw.BusyError("x"), apsw.LockedError("x"), apsw.ReadOnlyError("x"), apsw.FullError("x")]
)
async def test_error_that_passes_is_refused_once(store, error):
    heard = []
    store.on_failure(heard.append)
    with pytest.raises(StoreUnavailable) as caught:
        await on_writer(store, _raising(error))
    assert caught.value.retry_after == 5
    assert len(await store.add([new_job()])) == 1
    assert heard == []


@pytest.mark.parametrize("error", [apsw.ConstraintError("x"), apsw.TooBigError("x"), ValueError("x"), MemoryError("x")])
async def test_piece_of_work_that_is_impossible_fails_alone(store, node, error):
    async with _held(store):
        pieces = [
            asyncio.ensure_future(piece)
            for piece in (
                store.add([new_job()]),
                on_writer(store, _raising(error)),
                store.add([new_job(), new_job()]),
                store.turn((), Claim(node.id, ALL_SLOTS, NOW)),
                store.add([new_job(context="\ud800")]),
            )
        ]
        await asyncio.sleep(0)
    results = await asyncio.gather(*pieces, return_exceptions=True)
    assert [isinstance(result, StoreError) for result in results] == [False, True, False, False, True]
    assert not isinstance(results[1], StoreUnavailable), "trying again would not help"
    assert (results[0], results[2]) == ([1], [2, 3])
    assert [job.id for job in (*results[3].claimed.jobs, *await claim_all(store, node))] == [1, 2, 3]


async def test_disk_that_fails_while_pieces_are_tried_one_by_one_stops_the_store(disk, backend):
    store = await backend.open()
    async with _held(store):
        bad, good = store.add([new_job(context="\ud800")]), store.add([new_job()])
        pieces = [
            asyncio.ensure_future(bad),
            asyncio.ensure_future(good),
            asyncio.ensure_future(store.add([new_job()])),
        ]
        await asyncio.sleep(0)
        disk.sync_error = apsw.IOError("no luck")
    results = await asyncio.gather(*pieces, return_exceptions=True)
    assert [type(result) for result in results] == [StoreError, StoreUnavailable, StoreUnavailable]
    disk.sync_error = None
    await store.close()


# Groups.


async def test_what_collects_while_the_writer_is_busy_shares_one_sync(disk, store):
    async with _held(store):
        before = disk.syncs("-wal")
        adds = [asyncio.ensure_future(store.add([new_job()])) for _ in range(300)]
        await asyncio.sleep(0)
    ids = [job_id for result in await asyncio.gather(*adds) for job_id in result]
    assert ids == list(range(1, 301))
    assert disk.syncs("-wal") <= before + 2, "one for what held the writer, one for all that collected"


async def test_more_than_a_group_is_written_in_several(store):
    async with _held(store):
        adds = [asyncio.ensure_future(store.add([new_job()])) for _ in range(1200)]
        await asyncio.sleep(0)
    assert [job_id for result in await asyncio.gather(*adds) for job_id in result] == list(range(1, 1201))


async def test_add_that_nobody_waits_for_any_more_disturbs_no_other(store):
    async with _held(store):
        adds = [asyncio.ensure_future(store.add([new_job()])) for _ in range(3)]
        await asyncio.sleep(0)
        adds[1].cancel()
        await asyncio.sleep(0)
    results = await asyncio.gather(*adds, return_exceptions=True)
    assert [type(result) for result in results] == [list, asyncio.CancelledError, list]
    assert len(await store.add([new_job()])) == 1


async def test_too_much_that_waits_for_the_disk_is_refused(store, monkeypatch):
    monkeypatch.setattr(store_module, "PENDING_BYTES_LIMIT", 10_000)
    job = new_job(shell("cat", stdin="x" * 3000))
    async with _held(store):
        adds = [asyncio.ensure_future(store.add([job])) for _ in range(5)]
        await asyncio.sleep(0)
    results = await asyncio.gather(*adds, return_exceptions=True)
    assert [type(result) for result in results] == [list] * 3 + [StoreUnavailable] * 2
    assert "the disk can't keep up" in str(results[4])
    assert len(await store.add([job])) == 1


async def test_page_of_a_purge_that_was_undone_is_not_passed_over(store, node):
    """The other piece of its group is impossible, so the first time it is undone, and then done again."""
    running = await add_and_claim(store, node, new_job())
    await store.turn([decided(running, now=NOW - DAY)], None)
    async with _held(store):
        pieces = [
            asyncio.ensure_future(store.purge({State.COMPLETED: NOW}, NOW, 100)),
            asyncio.ensure_future(store.add([new_job(context="\ud800")])),
        ]
        await asyncio.sleep(0)
    deleted, error = await asyncio.gather(*pieces, return_exceptions=True)
    assert isinstance(error, StoreError)
    assert deleted == 1


async def test_page_of_a_purge_that_failed_is_not_passed_over(store, node, backend, monkeypatch):
    running = await add_and_claim(store, node, new_job())
    await store.turn([decided(running, now=NOW - DAY)], None)

    def full(_session: Session) -> None:
        raise apsw.FullError("x")

    with monkeypatch.context() as patch:
        patch.setattr(Session, "commit", full)
        with pytest.raises(StoreUnavailable):
            await store.purge({State.COMPLETED: NOW}, NOW, 100)
    assert await store.purge({State.COMPLETED: NOW}, NOW, 100) == 1
    assert await store.counts() == backend.recount()


# Heartbeats and readers.


async def test_heartbeat_that_is_not_written_in_time_says_so(store, node, monkeypatch):
    monkeypatch.setattr(store_module, "BEAT_TIMEOUT_S", 0.01)
    async with _held(store):
        with pytest.raises(StoreUnavailable, match="did not take the heartbeat in time"):
            await asyncio.to_thread(store.heartbeat(node.id).beat, NOW)


async def test_reader_that_takes_too_long_is_stopped(store, monkeypatch):
    await store.add([new_job() for _ in range(100)])
    monkeypatch.setattr(readers, "TIME_LIMIT_S", -1)
    monkeypatch.setattr(readers, "STEPS_PER_CHECK", 1)
    with pytest.raises(StoreUnavailable, match="the query took longer than"):
        await store.get(1)
    monkeypatch.setattr(readers, "TIME_LIMIT_S", 5)
    assert await store.get(1) is not None


async def test_reader_that_fails_says_so(store, monkeypatch):
    monkeypatch.setitem(readers.QUERIES, "get", "select nonsense")
    with pytest.raises(StoreUnavailable, match="SQLite can't use"):
        await store.get(1)


def _raising(error: Exception):
    def action(_session: Session) -> None:
        raise error

    return action


class _held:  # noqa: N801 (reads like a function)
    """The writer's thread does nothing while inside, so that work collects."""

    def __init__(self, store) -> None:
        self._store = store
        self._release = threading.Event()

    async def __aenter__(self) -> None:
        has_begun = threading.Event()

        def hold(_session: Session) -> None:
            has_begun.set()
            assert self._release.wait(30)

        self._holding = asyncio.ensure_future(on_writer(self._store, hold))
        await asyncio.to_thread(has_begun.wait, 30)

    async def __aexit__(self, *_: object) -> None:
        self._release.set()
        await self._holding
