import importlib.util
from pathlib import Path

from queue_server.store.postgres.migrating import migrate_database

ROOT = Path(__file__).parents[3]


async def test_committed_schema_is_what_the_migrations_make(url):
    spec = importlib.util.spec_from_file_location("schema_postgres", ROOT / "tools" / "schema_postgres.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    await migrate_database(url)
    assert tool.schema_file().read_text("utf-8") == await tool.schema(url), "run tools/schema_postgres.py"
