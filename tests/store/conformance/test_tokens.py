"""API tokens: what is kept of them, and that each change of one is whole."""

import asyncio
import os

import msgspec
import pytest

from queue_server.domain.access import Right
from queue_server.domain.tokens import NewToken, TargetRules, Token
from tests.builders.jobs import DAY, NOW
from tests.builders.stores import opened


def new_token(name: str = "ci", **members) -> NewToken:
    """A token to add."""
    given = {"name": name, "digest": os.urandom(32), "scopes": (Right.ADD,), "created_at": NOW} | members
    return NewToken(**given)


async def only(store) -> Token:
    """The only token."""
    (token,) = await store.tokens()
    return token


FULL = new_token(
    "all",
    scopes=(Right.ADD_EXEC, Right.READ_OUTPUT),
    contexts=("shop", 'a "b", c', ""),
    queues=("mail",),
    targets=TargetRules("allowlist", ("10.0.0.0/8", ".example.com:443"), ("10.1.0.0/16",)),
    expires_at=NOW + DAY,
)


@pytest.mark.parametrize("new", [FULL, new_token(), new_token(contexts=(), targets=TargetRules("public"))])
async def test_token_is_stored_as_it_was_added(backend, new):
    async with opened(backend) as store:
        token_id = await store.add_token(new)
    async with opened(backend) as store:
        members = {name: getattr(new, name) for name in new.__struct_fields__}
        assert await only(store) == Token(id=token_id, **members)


async def test_tokens_come_oldest_first_with_growing_ids(store):
    ids = [await store.add_token(new_token(f"t{number}")) for number in range(5)]
    assert ids == sorted(set(ids))
    assert [token.id for token in await store.tokens()] == ids


async def test_name_belongs_to_one_token_until_it_is_revoked(store):
    first = await store.add_token(new_token("ci"))
    assert await store.add_token(new_token("ci")) is None
    assert await store.add_token(new_token("CI")) is not None
    assert len(await store.tokens()) == 2
    assert await store.revoke_token(first, NOW + 1)
    second = await store.add_token(new_token("ci"))
    assert second is not None
    assert second > first


async def test_of_many_with_one_name_one_is_added(store):
    ids = await asyncio.gather(*(store.add_token(new_token("ci")) for _ in range(20)))
    assert len([token_id for token_id in ids if token_id is not None]) == 1
    assert len(await store.tokens()) == 1


async def test_expired_token_keeps_its_name(store):
    await store.add_token(new_token("ci", expires_at=NOW - DAY))
    assert await store.add_token(new_token("ci")) is None


async def test_rotated_token_has_both_digests_and_never_a_third(store):
    first = new_token()
    token_id = await store.add_token(first)
    assert await store.rotate_token(token_id, b"2" * 32, NOW + 5)
    rotated = await only(store)
    assert (rotated.digest, rotated.old_digest, rotated.old_until) == (b"2" * 32, first.digest, NOW + 5)
    assert await store.rotate_token(token_id, b"3" * 32, NOW + 9)
    again = await only(store)
    assert (again.digest, again.old_digest, again.old_until) == (b"3" * 32, b"2" * 32, NOW + 9)
    assert again == msgspec.structs.replace(rotated, digest=b"3" * 32, old_digest=b"2" * 32, old_until=NOW + 9)


async def test_revoked_token_stays_as_it_is(store):
    token_id = await store.add_token(new_token())
    assert await store.revoke_token(token_id, NOW + 1)
    before = await only(store)
    assert before.revoked_at == NOW + 1
    assert not await store.revoke_token(token_id, NOW + 2)
    assert not await store.rotate_token(token_id, b"2" * 32, NOW + 5)
    assert await only(store) == before


async def test_changes_touch_no_other_token(store):
    one, two = [await store.add_token(new_token(name)) for name in ("one", "two")]
    before = (await store.tokens())[1]
    await store.rotate_token(one, b"2" * 32, NOW)
    await store.note_used({one: NOW})
    await store.revoke_token(one, NOW)
    assert (await store.tokens())[1] == before
    assert before.id == two


@pytest.mark.parametrize("token_id", [0, 99, -1])
async def test_unknown_token_is_not_changed(store, token_id):
    await store.add_token(new_token())
    before = await store.tokens()
    assert not await store.revoke_token(token_id, NOW)
    assert not await store.rotate_token(token_id, b"2" * 32, NOW)
    await store.note_used({token_id: NOW})
    assert await store.tokens() == before


async def test_uses_are_noted_together_and_never_go_back(store):
    ids = [await store.add_token(new_token(f"t{number}")) for number in range(300)]
    await store.note_used({token_id: NOW + token_id for token_id in ids[1:]})
    assert [token.last_used_at for token in await store.tokens()] == [None, *(NOW + token_id for token_id in ids[1:])]
    await store.note_used({ids[0]: NOW, ids[1]: NOW - DAY, ids[2]: NOW + DAY, 10**9: NOW})
    used = [token.last_used_at for token in await store.tokens()]
    assert used[:4] == [NOW, NOW + ids[1], NOW + DAY, NOW + ids[3]]
    await store.note_used({})
