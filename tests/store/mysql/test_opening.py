"""Databases that are opened, migrated and refused."""

import asyncio

import pytest

from queue_server.clock import ServerClock
from queue_server.domain.errors import StoreRefused
from queue_server.store.mysql.store import MysqlStore
from tests.support.databases import database, mysql_server, run_sql


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda url: url.replace("3306", "1"), "can't be used"),
        (lambda url: url.rpartition("/")[0] + "/qs_no_such_database", "there is no such database: create database"),
        (lambda url: url.replace("root@", "nobody:very-secret@"), "refuses the user nobody"),
    ],
    ids=["no server", "no database", "wrong password"],
)
async def test_database_that_cannot_be_used_is_refused_in_one_line(backend, change, message):
    url = change(backend.url)
    if url == backend.url:
        pytest.skip("the server has another port or user")
    with pytest.raises(StoreRefused, match=message) as refused:
        await MysqlStore.open(url, ServerClock())
    assert "\n" not in str(refused.value)
    assert "secret" not in str(refused.value)


async def test_database_of_another_program_is_refused_and_left_alone():
    with database(mysql_server()) as url:
        run_sql(url, "create table theirs (id int)")
        with pytest.raises(StoreRefused, match="another program"):
            await MysqlStore.open(url, ServerClock())
        assert run_sql(url, "show tables") == [("theirs",)] or len(run_sql(url, "show tables")) == 1


async def test_schema_of_a_newer_version_is_refused(backend):
    run_sql(backend.url, "insert into schema_version values (99, 'later')")
    try:
        with pytest.raises(StoreRefused, match="schema version 99"):
            await MysqlStore.open(backend.url, ServerClock())
    finally:
        run_sql(backend.url, "delete from schema_version where number = 99")


async def test_nodes_that_start_at_once_migrate_once():
    with database(mysql_server()) as url:
        stores = await asyncio.gather(*(MysqlStore.open(url, ServerClock()) for _ in range(4)))
        for store in stores:
            await store.close()
        assert [row[0] for row in run_sql(url, "select number from schema_version")] == [1]


async def test_clock_is_the_databases(backend):
    clock = ServerClock()
    store = await MysqlStore.open(backend.url, clock)
    await store.close()
    ((now,),) = run_sql(backend.url, "select cast(unix_timestamp(now(6)) * 1000000 as signed)")
    assert abs(clock.now() - now) < 2_000_000
