"""Writes the generated parts of the documentation (`make docs`). A test holds that they are current.

A generated part stands between `<!-- generated: NAME -->` and `<!-- end -->`; docs/openapi.json is one as a whole.
"""

import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from queue_server.clock import SystemClock
from queue_server.config.catalog import catalog
from queue_server.config.settings import Settings
from queue_server.domain.lifecycle import TABLE, keep
from queue_server.domain.outcome import OutcomeKind
from queue_server.domain.state import State
from queue_server.web.app import Services, endpoints_of
from queue_server.web.endpoint import Endpoint
from queue_server.web.openapi.document import encoded
from queue_server.web.openapi.pages import Pages

DOCS = Path(__file__).parent.parent / "docs"
OPENAPI = DOCS / "openapi.json"

ENDS = {
    "complete": (State.COMPLETED,),
    "retry_or_fail": (State.SCHEDULED, State.FAILED),
    "cancel": (State.CANCELLED,),
    "give_back": (State.AVAILABLE,),
    "rescue": (State.AVAILABLE, State.FAILED),
    "snooze": (State.SCHEDULED,),
    "expire": (State.FAILED,),
    "go_on": (State.RUNNING,),
}
"""Where each rule can lead; tests/domain holds it against `decide`."""

NOTES = {
    ("retry_or_fail", State.SCHEDULED): "attempts left",
    ("retry_or_fail", State.FAILED): "no attempts left",
    ("rescue", State.AVAILABLE): "node died",
    ("rescue", State.FAILED): "node died three times",
    ("expire", State.FAILED): "not started in time",
    ("go_on", State.RUNNING): "goes on past its request",
}


def diagram() -> str:
    """The transition table as a Mermaid state diagram."""
    lines = [
        "```mermaid",
        "stateDiagram-v2",
        "    [*] --> available: added",
        "    [*] --> scheduled: added with delay or run_at",
    ]
    lines += ["    scheduled --> available: due", "    available --> running: claimed"]
    arrows: dict[tuple[State, State], list[str]] = {}
    for (state, kind), rule in TABLE.items():
        for end in ENDS.get(rule.__name__, ()):
            note = NOTES.get((rule.__name__, end))
            arrows.setdefault((state, end), []).append(f"{kind} ({note})" if note else str(kind))
    lines += [f"    {start} --> {end}: {', '.join(causes)}" for (start, end), causes in arrows.items()]
    lines += [f"    {state} --> [*]" for state in State if state.is_final]
    return "\n".join([*lines, "```"])


def transitions() -> str:
    """The transition table: a row for each outcome, a column for each state."""
    lines = ["| outcome | " + " | ".join(f"`{state}`" for state in State) + " |", "|---" * (len(State) + 1) + "|"]
    for kind in OutcomeKind:
        cells = ["." if (rule := TABLE[state, kind]) is keep else rule.__name__.replace("_", " ") for state in State]
        lines.append(f"| `{kind}` | " + " | ".join(cells) + " |")
    rules = {rule.__name__: rule for rule in TABLE.values()}
    lines.append("")
    lines += [f"- **{name.replace('_', ' ')}**: {_first_line(rule)}" for name, rule in rules.items()]
    return "\n".join(lines)


def settings() -> str:
    """Every setting."""
    lines = ["| setting | flag | variable | default | what it does |", "|---|---|---|---|---|"]
    for name, setting in catalog().items():
        default = setting.format(setting.default) or "(empty)"
        lines.append(f"| `{name}` | `{setting.flag}` | `{setting.variable}` | `{default}` | {setting.description} |")
    return "\n".join(lines)


PARTS: dict[str, Callable[[], str]] = {"diagram": diagram, "transitions": transitions, "settings": settings}


def regenerate(text: str) -> str:
    """The text with every generated part made anew."""

    def part(match: re.Match[str]) -> str:
        return f"<!-- generated: {match[1]} -->\n{PARTS[match[1]]()}\n<!-- end -->"

    return re.sub(r"<!-- generated: (\w+) -->\n.*?<!-- end -->", part, text, flags=re.DOTALL)


def _first_line(rule: Callable[..., object]) -> str:
    return (rule.__doc__ or "").strip().splitlines()[0]


def declared() -> Sequence[Endpoint]:
    """Every request of a server with the settings' defaults; none of them can be answered, they only tell of it."""
    services: dict[str, Any] = dict.fromkeys(Services.__struct_fields__)
    others = endpoints_of(Services(**services), Settings(), SystemClock())
    return [*others, *Pages(others).endpoints]


def openapi() -> bytes:
    """The OpenAPI document, as the server serves it."""
    return encoded(declared())


def main() -> int:
    """Write the documentation."""
    OPENAPI.write_bytes(openapi())
    for page in sorted(DOCS.glob("*.md")):
        page.write_text(regenerate(page.read_text("utf-8")), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
