import asyncio
import os
import sqlite3
from contextlib import closing

import pytest

from queue_server.domain.access import Right
from queue_server.domain.errors import Conflict, InvalidJob, InvalidSetting, StoreUnavailable
from queue_server.domain.tokens import SECOND, TargetRules, Token, TokenRequest, TokenState, digest_of
from queue_server.operations.tokens import Tokens
from tests.builders.jobs import DAY, NOW

ADMIN = TokenRequest(name="ops", scopes=(Right.ADMIN,))
SECRET = "a-long-admin-token-of-the-settings"


class SetClock:
    """Shows the time that it is set to."""

    time = NOW

    def now(self) -> int:
        return self.time

    def monotonic(self) -> float:
        return self.time / SECOND


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def make(store, clock):
    """Makes registries on one store, as the processes of several nodes would."""

    async def tokens(*, is_loopback: bool = True, admin_token: str = "") -> Tokens:
        made = Tokens(store, clock, os.urandom, admin_token=admin_token, is_loopback=lambda: is_loopback)
        await made.load()
        return made

    return tokens


@pytest.fixture
def tokens(make, runner) -> Tokens:
    return runner.run(make())


def accepted(tokens: Tokens, text: str, now: int = NOW) -> bool:
    return tokens.check(text.encode(), now) is not None


async def test_token_is_known_by_its_text_from_its_answer_on(tokens):
    made = await tokens.create(TokenRequest(name="ci", scopes=(Right.MANAGE,), contexts=("shop",)))
    access = tokens.check(made.text.encode(), NOW)
    assert (access.name, access.token_id, access.scopes) == ("ci", made.token.id, {Right.MANAGE, Right.READ})
    assert (access.contexts, access.queues) == ({"shop"}, None)


@pytest.mark.parametrize("wrong", [b"", b"qs_", b"x" * 46, b"\xff\x00"])
async def test_other_text_is_nobodys(tokens, wrong):
    made = await tokens.create(ADMIN)
    text = made.text.encode()
    for near in (wrong, text + b"\n", text[:-1], text.lower(), made.token.digest):
        assert tokens.check(near, NOW) is None


async def test_text_is_nowhere_in_the_database(tokens, store, tmp_path):
    texts = [(await tokens.create(ADMIN)).text, (await tokens.rotate(1, 60)).text]
    await store.revoke_token(99, NOW)
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert digest_of(texts[1].encode()) in stored
    for text in texts:
        assert text.encode() not in stored
        assert text[3:40].encode() not in stored


async def test_texts_differ(tokens):
    texts = {(await tokens.create(TokenRequest(name=f"t{number}"))).text for number in range(50)}
    assert len(texts) == 50


async def test_token_ends_at_its_expiry(tokens, clock):
    made = await tokens.create(TokenRequest(name="ci", ttl=60.0))
    assert accepted(tokens, made.text, NOW + 60 * SECOND - 1)
    assert not accepted(tokens, made.text, NOW + 60 * SECOND)
    clock.time = NOW + 60 * SECOND
    assert tokens.get(made.token.id).state(clock.now()) is TokenState.EXPIRED


async def test_revoked_token_ends_at_once_and_frees_its_name(tokens):
    made = await tokens.create(ADMIN)
    assert await tokens.revoke(made.token.id)
    assert not accepted(tokens, made.text)
    assert await tokens.revoke(made.token.id)
    assert (await tokens.create(ADMIN)).token.id > made.token.id


async def test_rotated_token_has_two_texts_for_the_overlap(tokens, clock):
    first = await tokens.create(ADMIN)
    second = await tokens.rotate(first.token.id, 60.0)
    assert second.token.id == first.token.id
    later = NOW + 60 * SECOND
    assert accepted(tokens, first.text, later - 1)
    assert not accepted(tokens, first.text, later)
    assert accepted(tokens, second.text, later + DAY)
    third = await tokens.rotate(first.token.id, 0.0)
    assert [accepted(tokens, made.text) for made in (first, second, third)] == [False, False, True]


async def test_overlap_goes_no_further_than_the_expiry(tokens):
    first = await tokens.create(TokenRequest(name="ci", ttl=10.0))
    second = await tokens.rotate(first.token.id, 3600.0)
    assert not accepted(tokens, first.text, NOW + 10 * SECOND)
    assert not accepted(tokens, second.text, NOW + 10 * SECOND)


async def test_revoking_ends_both_texts(tokens):
    first = await tokens.create(ADMIN)
    second = await tokens.rotate(first.token.id, 60.0)
    await tokens.revoke(first.token.id)
    assert not accepted(tokens, first.text)
    assert not accepted(tokens, second.text)


async def test_ended_token_is_not_rotated(tokens, clock):
    revoked = await tokens.create(ADMIN)
    await tokens.revoke(revoked.token.id)
    expired = await tokens.create(TokenRequest(name="ci", ttl=1.0))
    clock.time += 2 * SECOND
    for made in (revoked, expired):
        with pytest.raises(Conflict, match=f"token {made.token.id}"):
            await tokens.rotate(made.token.id, 60.0)
        assert not accepted(tokens, made.text, clock.time)


async def test_unknown_token_is_nothing(tokens):
    assert tokens.get(1) is None
    assert tokens.rules_of(1) is None
    assert await tokens.rotate(1, 0.0) is None
    assert not await tokens.revoke(1)


async def test_name_that_is_taken_is_a_conflict_at_the_name(tokens):
    await tokens.create(ADMIN)
    with pytest.raises(Conflict, match="named ops") as refused:
        await tokens.create(ADMIN)
    assert refused.value.path == "/name"
    assert len(tokens.list()) == 1


async def test_bad_request_makes_nothing(tokens):
    with pytest.raises(InvalidJob):
        await tokens.create(TokenRequest(name="12"))
    assert not tokens.has_any


async def test_list_shows_the_newest_first_and_those_that_ended(tokens):
    ids = [(await tokens.create(TokenRequest(name=f"t{number}"))).token.id for number in range(3)]
    await tokens.revoke(ids[1])
    assert [token.id for token in tokens.list()] == ids[::-1]
    assert [token.revoked_at for token in tokens.list()] == [None, NOW, None]


async def test_rules_stay_known_of_a_revoked_token(make):
    tokens = await make()
    rules = TargetRules("public", ("a.example",), ())
    made = await tokens.create(TokenRequest(name="ci", http_targets="public", http_allow=("a.example",)))
    plain = await tokens.create(TokenRequest(name="plain"))
    await tokens.revoke(made.token.id)
    assert tokens.rules_of(made.token.id) == rules
    assert tokens.rules_of(plain.token.id) is None
    await tokens.load()
    assert tokens.rules_of(made.token.id) == ("public", ("a.example",), ())


async def test_tokens_are_asked_for_while_one_is_not_revoked(tokens, clock):
    assert not tokens.has_any
    made = await tokens.create(TokenRequest(name="ci", ttl=1.0))
    assert tokens.has_any
    clock.time += DAY
    await tokens.load()
    assert tokens.has_any, "time alone opens nothing"
    await tokens.revoke(made.token.id)
    assert not tokens.has_any


# The token of the settings.


async def test_admin_token_of_the_settings_has_all_rights(make):
    tokens = await make(admin_token=SECRET)
    access = tokens.check(SECRET.encode(), NOW)
    assert (access.name, access.token_id, access.scopes) == ("admin_token", None, frozenset(Right))
    assert tokens.has_any
    assert not tokens.list()


@pytest.mark.parametrize("unfit", ["Q" * 15, "Q with a blank in it", "Q-überlanges-wort", "Q" * 16 + "\n"])
async def test_unfit_admin_token_is_refused_without_being_shown(make, unfit):
    with pytest.raises(InvalidSetting, match=r"^admin_token ") as refused:
        await make(admin_token=unfit)
    assert "Q" not in str(refused.value)


async def test_admin_token_of_the_settings_outlives_all_others(make):
    tokens = await make(admin_token=SECRET, is_loopback=False)
    made = await tokens.create(ADMIN)
    assert await tokens.revoke(made.token.id)
    await tokens.load()
    assert accepted(tokens, SECRET)


# The last one.


async def test_last_admin_stays_where_other_machines_can_connect(make):
    tokens = await make(is_loopback=False)
    made = await tokens.create(ADMIN)
    other = await tokens.create(TokenRequest(name="ci"))
    with pytest.raises(Conflict, match="last token with scope admin"):
        await tokens.revoke(made.token.id)
    assert accepted(tokens, made.text)
    assert await tokens.revoke(other.token.id)
    second = await tokens.create(TokenRequest(name="ops2", scopes=(Right.READ, Right.ADMIN)))
    assert await tokens.revoke(made.token.id)
    with pytest.raises(Conflict):
        await tokens.revoke(second.token.id)


async def test_admin_that_has_expired_is_none(make, clock):
    tokens = await make(is_loopback=False)
    await tokens.create(TokenRequest(name="short", scopes=(Right.ADMIN,), ttl=1.0))
    made = await tokens.create(ADMIN)
    clock.time += 2 * SECOND
    with pytest.raises(Conflict):
        await tokens.revoke(made.token.id)


async def test_of_two_last_admins_revoked_at_once_one_stays(make):
    tokens = await make(is_loopback=False)
    ids = [(await tokens.create(TokenRequest(name=name, scopes=(Right.ADMIN,)))).token.id for name in ("a", "b")]
    ends = await asyncio.gather(*(tokens.revoke(token_id) for token_id in ids), return_exceptions=True)
    assert [type(end) for end in ends] == [Token, Conflict]


# Uses.


async def test_use_is_shown_at_once_and_written_by_the_flush(tokens, store):
    made = await tokens.create(ADMIN)
    tokens.check(made.text.encode(), NOW + 5)
    tokens.check(b"qs_wrong", NOW + 6)
    assert tokens.get(made.token.id).last_used_at == NOW + 5
    assert tokens.list()[0].last_used_at == NOW + 5
    assert (await store.tokens())[0].last_used_at is None
    await tokens.flush()
    assert (await store.tokens())[0].last_used_at == NOW + 5


async def test_use_is_written_once_and_in_one_call(store, clock):
    written = []

    class Noting:
        tokens, add_token = store.tokens, store.add_token

        async def note_used(self, times):
            written.append(dict(times))

    tokens = Tokens(Noting(), clock, os.urandom, is_loopback=lambda: True)
    made = [await tokens.create(TokenRequest(name=name)) for name in ("a", "b", "c")]
    for one in made[:2]:
        tokens.check(one.text.encode(), NOW)
    await tokens.flush()
    await tokens.flush()
    tokens.check(made[0].text.encode(), NOW + 1)
    await tokens.flush()
    assert written == [{made[0].token.id: NOW, made[1].token.id: NOW}, {made[0].token.id: NOW + 1}]


async def test_use_that_could_not_be_written_is_kept(store, clock):
    class Full:
        tokens, add_token = store.tokens, store.add_token
        is_full = True

        async def note_used(self, times):
            if self.is_full:
                raise StoreUnavailable("the disk is full")
            await store.note_used(times)

    disk = Full()
    tokens = Tokens(disk, clock, os.urandom, is_loopback=lambda: True)
    made = await tokens.create(ADMIN)
    tokens.check(made.text.encode(), NOW + 5)
    await tokens.flush()
    disk.is_full = False
    await tokens.flush()
    assert (await store.tokens())[0].last_used_at == NOW + 5


async def test_use_is_written_again_and_again_by_the_loop(tokens, store):
    made = await tokens.create(ADMIN)
    writing = asyncio.create_task(tokens.keep_writing(0.01))
    for at in (NOW + 1, NOW + 2):
        tokens.check(made.text.encode(), at)
        async with asyncio.timeout(10):
            while (await store.tokens())[0].last_used_at != at:
                await asyncio.sleep(0.005)
    writing.cancel()


# Other processes.


async def test_changes_of_another_process_are_seen_once_they_are_loaded(make):
    here, there = await make(), await make()
    made = await there.create(ADMIN)
    assert not accepted(here, made.text)
    await here.load()
    assert accepted(here, made.text)
    assert here.has_any
    await there.revoke(made.token.id)
    await here.load()
    assert not accepted(here, made.text)


async def test_store_out_of_reach_changes_nothing(store, clock):
    class Gone:
        add_token = store.add_token
        is_gone = False

        async def tokens(self):
            if self.is_gone:
                raise StoreUnavailable("gone")
            return await store.tokens()

    network = Gone()
    tokens = Tokens(network, clock, os.urandom, is_loopback=lambda: True)
    made = await tokens.create(ADMIN)
    network.is_gone = True
    with pytest.raises(StoreUnavailable):
        await tokens.load()
    assert accepted(tokens, made.text)


async def test_scope_that_this_version_does_not_know_gives_no_right(tokens, tmp_path):
    made = await tokens.create(ADMIN)
    with closing(sqlite3.connect(tmp_path / "q.db")) as database, database:
        database.execute('update token set scopes = \'["read","root"]\'')
    await tokens.load()
    assert tokens.check(made.text.encode(), NOW).scopes == {Right.READ}
