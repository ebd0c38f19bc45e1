"""The audit log: what is appended stays as it was, in order, until it is purged in pages."""

import msgspec

from queue_server.domain.audit import Act
from tests.builders.jobs import NOW
from tests.builders.stores import opened


def act(number: int, **members) -> Act:
    given = {
        "at": NOW + number,
        "who": f"token {number}",
        "token_id": number or None,
        "address": "127.0.0.1",
        "action": "cancelJob",
        "target": f"/v1/jobs/{number}/cancel",
    } | members
    return Act(**given)


async def test_actions_are_shown_as_they_were_newest_first_and_page_by_page(backend):
    acts = [act(0), act(1, count=10_000, details='{"filter": "\u00e4 \' \n"}'), act(2, count=0, address="")]
    async with opened(backend) as store:
        for one in acts:
            await store.add_act(one)
        shown = await store.acts(2**53, 2)
        assert [msgspec.structs.replace(one, id=0) for one in shown] == [acts[2], acts[1]]
        assert [one.who for one in await store.acts(shown[-1].id, 2)] == ["token 0"]
        assert list(await store.acts(1, 10)) == []


async def test_old_actions_are_deleted_in_pages_and_their_ids_never_come_again(backend):
    async with opened(backend) as store:
        for number in range(5):
            await store.add_act(act(number))
        last = max(one.id for one in await store.acts(2**53, 10))
        assert await store.purge_acts(NOW + 4, 3) == 3
        assert await store.purge_acts(NOW + 4, 3) == 1
        assert await store.purge_acts(NOW + 4, 3) == 0
        await store.purge_acts(NOW + 9, 3)
        await store.add_act(act(6))
        (left,) = await store.acts(2**53, 10)
        assert left.id > last
