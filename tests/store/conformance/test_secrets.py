"""Kept secrets: what is kept of them, and that each change of one is whole."""

from queue_server.domain.secret import KeptSecret
from queue_server.store.keeping import NewSecret
from tests.builders.jobs import NOW, SECOND
from tests.builders.stores import opened


def new_secret(name: str = "api", sealed: str = "1.key.text", at: int = NOW, **members) -> NewSecret:
    """A secret to keep; it ends at once what is there."""
    return NewSecret(**({"name": name, "kind": "value", "sealed": sealed, "created_at": at, "old_until": at} | members))


async def test_secret_is_stored_as_it_was_put_and_survives(backend):
    async with opened(backend) as store:
        secret_id = await store.put_secret(new_secret())
    async with opened(backend) as store:
        assert await store.secrets() == [KeptSecret(secret_id, "api", "value", "1.key.text", NOW, None)]


async def test_new_secret_replaces_the_one_of_its_name_and_kind_only(backend):
    async with opened(backend) as store:
        await store.put_secret(new_secret("other", "a"))
        await store.put_secret(new_secret("api", "b", kind="signing"))
        await store.put_secret(new_secret("api", "c"))
        await store.put_secret(new_secret("api", "d", at=NOW + 1))
        assert [(one.kind, one.name, one.sealed) for one in await store.secrets()] == [
            ("value", "other", "a"),
            ("signing", "api", "b"),
            ("value", "api", "d"),
        ]


async def test_old_secret_is_in_force_until_the_overlap_ends(backend):
    async with opened(backend) as store:
        await store.put_secret(new_secret(sealed="a"))
        await store.put_secret(new_secret(sealed="b", at=NOW + 1, old_until=NOW + 10 * SECOND))
        await store.put_secret(new_secret(sealed="c", at=NOW + 2, old_until=NOW + 20 * SECOND))
        found = [(one.sealed, one.until) for one in await store.secrets()]
    assert found == [("a", NOW + 10 * SECOND), ("b", NOW + 20 * SECOND), ("c", None)]


async def test_a_shorter_overlap_shortens_the_one_before(backend):
    async with opened(backend) as store:
        await store.put_secret(new_secret(sealed="a"))
        await store.put_secret(new_secret(sealed="b", at=NOW + 1, old_until=NOW + 20 * SECOND))
        await store.put_secret(new_secret(sealed="c", at=NOW + 2, old_until=NOW + 10 * SECOND))
        assert [one.until for one in await store.secrets()] == [NOW + 10 * SECOND, NOW + 10 * SECOND, None]


async def test_secrets_whose_overlap_is_over_go_with_the_next_one(backend):
    async with opened(backend) as store:
        await store.put_secret(new_secret(sealed="a"))
        await store.put_secret(new_secret(sealed="b", at=NOW + 1, old_until=NOW + 5))
        await store.put_secret(new_secret(sealed="c", at=NOW + 5, old_until=NOW + 9))
        assert [one.sealed for one in await store.secrets()] == ["b", "c"]


async def test_all_secrets_of_a_name_are_deleted(backend):
    async with opened(backend) as store:
        await store.put_secret(new_secret(kind="signing"))
        await store.put_secret(new_secret(kind="signing", at=NOW + 1, old_until=NOW + SECOND))
        await store.put_secret(new_secret())
        assert await store.delete_secret("signing", "api") == 2
        assert await store.delete_secret("signing", "api") == 0
        assert [one.kind for one in await store.secrets()] == ["value"]


async def test_secrets_are_resealed_by_their_ids(backend):
    async with opened(backend) as store:
        first = await store.put_secret(new_secret("a", "old a"))
        second = await store.put_secret(new_secret("b", "old b"))
        await store.put_secret(new_secret("c", "old c"))
        await store.reseal_secrets({first: 'new "a"', second: "new b", 99: "nobody's"})
        assert [one.sealed for one in await store.secrets()] == ['new "a"', "new b", "old c"]
