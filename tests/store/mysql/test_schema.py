import importlib.util
from pathlib import Path

import pytest

from queue_server.store.mysql.migrating import migrate_database
from tests.support.databases import database, mysql_server, run_sql

ROOT = Path(__file__).parents[3]


async def test_committed_schema_is_what_the_migrations_make():
    if "MariaDB" not in run_sql(mysql_server(), "select version()")[0][0]:
        pytest.skip("the file is as MariaDB writes it")
    spec = importlib.util.spec_from_file_location("schema_mysql", ROOT / "tools" / "schema_mysql.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    with database(mysql_server()) as url:
        await migrate_database(url)
        assert tool.schema_file().read_text("utf-8") == await tool.schema(url), "run tools/schema_mysql.py"
