"""The documentation tells the truth: generated parts are current, everything is mentioned, links lead somewhere."""

import re
from pathlib import Path

import msgspec
import pytest

from queue_server.config.catalog import catalog
from queue_server.domain.job import JobRequest
from queue_server.domain.state import State
from tools.docs import regenerate

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_generated_parts_are_current(page: Path) -> None:
    text = page.read_text("utf-8")
    assert regenerate(text) == text, "run `make docs`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_that_exist(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?://)([^)#]+)", page.read_text("utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_every_setting_is_documented() -> None:
    text = (ROOT / "docs/operations.md").read_text("utf-8")
    assert [name for name in catalog() if f"| `{name}` |" not in text] == []


def test_every_state_is_documented() -> None:
    text = (ROOT / "docs/lifecycle.md").read_text("utf-8")
    assert [state for state in State if f"| `{state}` |" not in text] == []


def test_every_route_is_documented() -> None:
    text = (ROOT / "docs/api.md").read_text("utf-8")
    paths = msgspec.json.decode((ROOT / "docs/openapi.json").read_bytes())["paths"]
    shown = text.replace("{id}", "{job_id}")
    requests = [f"`{method.upper()} {path}`" for path, methods in paths.items() for method in methods]
    missing = [request for request in requests if request not in shown and request.replace("POST ", "") not in shown]
    assert missing == []


def test_every_member_of_a_job_is_documented() -> None:
    text = (ROOT / "docs/api.md").read_text("utf-8")
    assert [name for name in JobRequest.__struct_fields__ if f"| `{name}` |" not in text] == []


def test_every_decision_record_says_what_would_change_it() -> None:
    records = sorted((ROOT / "docs/decisions").glob("0*.md"))
    assert records
    assert [record.name for record in records if "**What would change our mind.**" not in record.read_text()] == []


def test_decision_records_named_in_the_code_exist() -> None:
    numbers = {path.name[:4] for path in (ROOT / "docs/decisions").glob("0*.md")}
    sources = [*(ROOT / "src").rglob("*.py"), *(ROOT / "src").rglob("*.sql")]
    named = {number for source in sources for number in re.findall(r"docs/decisions/(\d{4})", source.read_text())}
    assert named
    assert named <= numbers
