"""The pool, with connections that do as they are told."""

import asyncio

import pytest
from asyncmy.errors import OperationalError

from queue_server.domain.errors import StoreError, StoreUnavailable
from queue_server.store.mysql.pool import ATTEMPTS, Pool


class Fake:
    """A connection. `at_commit` is raised when it is to commit."""

    id_step = 1

    def __init__(self, at_commit: Exception | None = None) -> None:
        self.at_commit = at_commit
        self.is_dropped = False
        self.commits = 0

    async def commit(self) -> None:
        if self.at_commit is not None:
            raise self.at_commit
        self.commits += 1

    async def rollback(self) -> None:
        pass

    async def close(self) -> None:
        self.is_dropped = True

    def drop(self) -> None:
        self.is_dropped = True


class Connections:
    def __init__(self, *at_commit: Exception) -> None:
        self._at_commit = list(at_commit)
        self.made: list[Fake] = []

    async def __call__(self) -> Fake:
        self.made.append(Fake(self._at_commit.pop(0) if self._at_commit else None))
        return self.made[-1]


async def _nothing(_transaction) -> str:
    return "done"


async def test_connection_to_a_server_that_was_demoted_is_left_and_all_beside_it():
    told = []
    connections = Connections()
    pool = Pool(connections, 2, lambda: 0.0, lambda: told.append(True))
    await asyncio.gather(pool.write(_nothing), pool.write(_nothing))
    connections.made[-1].at_commit = connections.made[0].at_commit = OperationalError(1290, "--read-only")
    with pytest.raises(StoreUnavailable, match="read-only"):
        await pool.write(_nothing)
    assert told == [True]
    assert all(one.is_dropped for one in connections.made)
    assert await pool.write(_nothing) == "done"
    await pool.close()


async def test_commit_whose_answer_is_lost_is_unknown_and_not_tried_again():
    connections = Connections(OperationalError(2013, "lost"))
    pool = Pool(connections, 1, lambda: 0.0)
    with pytest.raises(StoreUnavailable, match="may be there or not"):
        await pool.write(_nothing)
    assert len(connections.made) == 1
    assert await pool.write(_nothing) == "done"
    await pool.close()


@pytest.mark.parametrize("number", [1213, 1205, 1020])
async def test_transaction_that_others_were_in_the_way_of_is_tried_again(number):
    connections = Connections(OperationalError(number, "in the way"))
    pool = Pool(connections, 1, lambda: 0.0)
    tries = []

    async def work(_transaction) -> int:
        connections.made[0].at_commit = None if len(tries) == 3 else connections.made[0].at_commit
        tries.append(True)
        return len(tries)

    assert await pool.write(work) == 4
    await pool.close()


async def test_transaction_that_others_are_always_in_the_way_of_is_refused():
    connections = Connections(OperationalError(1213, "deadlock"))
    pool = Pool(connections, 1, lambda: 0.0)
    tries = []

    async def work(_transaction) -> None:
        tries.append(True)

    with pytest.raises(StoreUnavailable, match="busy"):
        await pool.write(work)
    assert len(tries) == ATTEMPTS
    await pool.close()


async def test_impossible_work_fails_alone_and_leaves_its_connection():
    connections = Connections()
    pool = Pool(connections, 1, lambda: 0.0)

    async def work(_transaction) -> None:
        raise OperationalError(1406, "Data too long")

    with pytest.raises(StoreError, match="can't be stored: Data too long"):
        await pool.write(work)
    assert await pool.write(_nothing) == "done"
    assert len(connections.made) == 1
    await pool.close()
