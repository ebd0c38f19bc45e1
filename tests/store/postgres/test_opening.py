"""Databases that a server opens, or refuses with one line for a person."""

import asyncio

import pytest

from queue_server.clock import ServerClock
from queue_server.domain.errors import InvalidSetting, StoreRefused
from queue_server.store.migrations import load_migrations
from queue_server.store.postgres.address import parse_address
from queue_server.store.postgres.migrating import MIGRATIONS, migrate_database
from queue_server.store.postgres.store import PostgresStore
from tests.support.databases import run_sql


async def test_of_nodes_that_start_at_once_each_step_is_taken_by_one(url):
    taken = await asyncio.gather(*(migrate_database(url) for _ in range(5)))
    names = [f"{step.number:04} {step.name}" for step in load_migrations(MIGRATIONS)]
    assert sorted(name for steps in taken for name in steps) == names
    assert await migrate_database(url) == []


async def test_newer_schema_is_refused(url):
    await migrate_database(url)
    run_sql(url, "insert into queue_server_schema values (999)")
    with pytest.raises(StoreRefused, match="has schema version 999, this Queue Server knows up to"):
        await PostgresStore.open(url, ServerClock())


async def test_database_of_another_program_is_refused(url):
    run_sql(url, "create table job (mine text)")
    with pytest.raises(StoreRefused, match="has tables of another program"):
        await PostgresStore.open(url, ServerClock())
    assert run_sql(url, "select count(*) from information_schema.tables where table_schema = 'public'")[0][0] == 1


async def test_missing_database_is_refused_without_the_password(url):
    wrong = url.replace("postgres@", "postgres:secret@") + "_not"
    with pytest.raises(StoreRefused, match="there is no such database") as caught:
        await PostgresStore.open(wrong, ServerClock())
    assert "secret" not in str(caught.value)


async def test_server_that_is_not_there_is_refused_without_the_password():
    with pytest.raises(StoreRefused, match=r"^the database x on 127\.0\.0\.1:1 can't be used: ") as caught:
        await PostgresStore.open("postgresql://me:secret@127.0.0.1:1/x", ServerClock())
    assert "secret" not in str(caught.value)


async def test_settings_that_weaken_a_promise_are_told(url):
    store = await PostgresStore.open(url, ServerClock())
    assert list(store.warnings) == []
    await store.close()
    run_sql(url, f"alter database {url.rpartition('/')[2]} set synchronous_commit = off")
    store = await PostgresStore.open(url, ServerClock())
    await store.close()
    (warning,) = store.warnings
    assert warning.startswith("synchronous_commit is off: ")


async def test_clock_is_the_databases_once_it_is_open(backend):
    clock = ServerClock()
    clock.follow(0, clock.steady() - 10_000_000)
    store = await PostgresStore.open(backend.url, clock)
    await store.close()
    told = run_sql(backend.url, "select (extract(epoch from clock_timestamp()) * 1000000)::bigint")[0][0]
    assert abs(clock.now() - told) < 2_000_000


def test_address_has_several_hosts_and_takes_the_one_that_takes_writes():
    address = parse_address("postgresql://me:p%40ss@a:1,b:2/queue?sslmode=disable&pool=12&listen=off&prepared=off")
    assert address.dsn == "postgresql://me:p%40ss@a:1,b:2/queue?sslmode=disable&target_session_attrs=read-write"
    assert (address.label, address.pool) == ("the database queue on a:1,b:2", 12)
    assert (address.listens, address.is_direct) == (False, False)


def test_address_may_be_a_socket_and_any_server():
    address = parse_address("postgresql:///queue?host=/run/postgresql&target_session_attrs=any")
    assert address.label == "the database queue on /run/postgresql"
    assert address.dsn.endswith("target_session_attrs=any")


@pytest.mark.parametrize(
    ("db", "message"),
    [
        ("postgresql://me:secret@host/", "name a database"),
        ("postgresql://me:secret@host/x?pool=3", "pool is a number from 4 to 200"),
        ("postgresql://me:secret@host/x?pool=many", "pool is a number from 4 to 200"),
        ("postgresql://me:secret@host/x?listen=maybe", "listen is on or off"),
        ("postgresql://me:secret@[host/x", "that is no URL"),
    ],
)
def test_address_that_is_wrong_is_told_without_the_password(db, message):
    with pytest.raises(InvalidSetting, match=message) as caught:
        parse_address(db)
    assert "secret" not in str(caught.value)
