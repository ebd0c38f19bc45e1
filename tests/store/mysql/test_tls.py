"""Connections that are encrypted, and those through a Unix socket, to a real server with a certificate."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from queue_server.clock import ServerClock
from queue_server.domain.errors import StoreRefused
from queue_server.store.mysql.address import parse_address
from queue_server.store.mysql.connection import connect
from queue_server.store.mysql.store import MysqlStore
from tests.builders.jobs import NOW, new_job
from tests.builders.stores import claim, opened
from tests.chaos.database_server import DatabaseServer, mariadb_of_its_own
from tests.support.certificates import write_certificate
from tests.support.databases import mysql_server, run_sql

CIPHER = "show session status like 'ssl_cipher'"
ENCRYPTED_ONLY = "needs_tls"


class Place(NamedTuple):
    """A server with a certificate, and an authority that has not signed it."""

    server: DatabaseServer
    authority: Path
    stranger: Path

    def address(self, query: str, *, user: str = "root", host: str = "127.0.0.1") -> str:
        """The setting `db` for it."""
        return f"mysql://{user}@{host}:{self.server.port}/jobs?{query}"

    async def open(self, query: str, **place: str) -> MysqlStore:
        """See Backend.open."""
        return await MysqlStore.open(self.address(query, **place), ServerClock())


class Opening(NamedTuple):
    """See Backend: its `open` alone."""

    place: Place
    query: str

    async def open(self) -> MysqlStore:
        return await self.place.open(self.query)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Iterator[Place]:
    folders = [tmp_path_factory.mktemp(name) for name in ("ours", "theirs")]
    for folder in folders:
        write_certificate(folder, folder.name)
    ours, theirs = (folder / "cert.pem" for folder in folders)
    mysql_server()  # skips where none is installed
    with mariadb_of_its_own(f"ssl-cert={ours}", f"ssl-key={ours.with_name('key.pem')}") as server:
        server.sql(
            "create database jobs",
            f"create user {ENCRYPTED_ONLY}@'127.0.0.1' require ssl",
            f"grant all on jobs.* to {ENCRYPTED_ONLY}@'127.0.0.1'",
        )
        yield Place(server, ours, theirs)


@pytest.fixture(params=["required", "authority"])
def accepted(request, place) -> str:
    """What `ssl` is where the server is one to talk to."""
    return "ssl=required" if request.param == "required" else f"ssl={place.authority}"


async def test_connection_is_encrypted(place, accepted):
    connection = await connect(parse_address(place.address(accepted)), autocommit=True)
    ((_, cipher),) = await connection.rows(CIPHER)
    await connection.close()
    assert cipher.startswith("TLS_")


async def test_connection_is_not_encrypted_unless_it_is_asked_for(place):
    connection = await connect(parse_address(place.address("pool=4")), autocommit=True)
    ((_, cipher),) = await connection.rows(CIPHER)
    await connection.close()
    assert cipher == ""


async def test_jobs_are_stored_and_claimed_by_a_user_who_must_encrypt(place, accepted):
    store = await place.open(accepted, user=ENCRYPTED_ONLY)
    node = await store.register("one", 10, NOW)
    (job_id,) = await store.add([new_job()])
    assert [job.id for job in await claim(store, node)] == [job_id]
    await store.close()


async def test_user_who_must_encrypt_is_refused_without(place):
    with pytest.raises(StoreRefused, match="refuses the user needs_tls"):
        await place.open("pool=4", user=ENCRYPTED_ONLY)


@pytest.mark.parametrize("query", ["ssl=verify", "ssl={stranger}"])
async def test_server_whose_certificate_nobody_known_has_signed_is_refused(place, query):
    with pytest.raises(StoreRefused, match=r"can't be used: .*CERTIFICATE_VERIFY_FAILED"):
        await place.open(query.format(stranger=place.stranger))


async def test_server_whose_certificate_is_for_another_host_is_refused(place):
    with pytest.raises(StoreRefused, match=r"can't be used: .*CERTIFICATE_VERIFY_FAILED"):
        await place.open(f"ssl={place.authority}", host="localhost")


async def test_server_without_tls_is_refused_where_it_is_asked_for():
    server = mysql_server()
    if run_sql(server, "select @@have_ssl")[0][0] == "YES":
        pytest.skip("this server has TLS")
    with pytest.raises(StoreRefused, match="can't be used"):
        await MysqlStore.open(f"{server}/test?ssl=required", ServerClock())


async def test_jobs_are_stored_and_claimed_through_a_socket(place):
    socket = place.server.data / "socket"
    async with opened(Opening(place, f"socket={socket}")) as store:
        node = await store.register("one", 10, NOW)
        (job_id,) = await store.add([new_job(context="socket")])
        assert job_id in [job.id for job in await claim(store, node)]
