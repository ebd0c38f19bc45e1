"""One command writes the schemas of all stores; that they are the right ones is tested beside each store."""

import pytest

from tests.support.databases import MYSQL
from tools.schemas import write_one

NOWHERE = MYSQL._replace(variable="QS_TEST_NOWHERE")


def test_schema_whose_database_cannot_be_had_is_left_out_and_named(monkeypatch):
    monkeypatch.setenv(NOWHERE.variable, "mysql://root@127.0.0.1:1")
    told = list(write_one(NOWHERE, lambda _server: pytest.fail("there is no server")))
    assert told == ["the schema of mariadb-server is not written: QS_TEST_NOWHERE: no database server answers there"]
