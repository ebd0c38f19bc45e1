"""Texts and sizes that a database could get wrong."""

import asyncio

from queue_server.domain.errors import StoreError
from tests.builders.jobs import new_job


async def test_batch_larger_than_a_packet_is_stored_whole(store):
    plan = b'{"command":{"type":"exec","cmd":"' + b"x" * 3_000_000 + b'"}}'
    ids = await store.add([new_job(payload=plan) for _ in range(7)])
    assert len(set(ids)) == 7
    assert len(await store.add([new_job() for _ in range(10_000)])) == 10_000


async def test_texts_are_told_apart_by_their_bytes(store):
    contexts = ["a", "A", "a ", "ä", "\U0001f600", ""]
    await store.count_contexts()
    await store.add([new_job(context=context) for context in contexts])
    assert [await store.waiting_in(context, 9) for context in contexts] == [1] * len(contexts)


async def test_impossible_job_fails_alone(store):
    adds = [store.add([new_job(context=c)]) for c in ("a", "x" * 300, "b")]
    results = await asyncio.gather(*adds, return_exceptions=True)
    assert [isinstance(result, StoreError) for result in results] == [False, True, False]
