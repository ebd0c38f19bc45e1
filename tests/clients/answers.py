"""What a server would answer, for tests on what the client asks and how it takes the answer."""

import json
from collections.abc import Mapping
from typing import Any

from tests.support.target import Reply

JSON = ("Content-Type", "application/json")


def answer(members: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    return Reply(status, json.dumps(members).encode(), (JSON, *(headers or {}).items()))


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None, **errors: str) -> Reply:
    """RFC 9457; the errors are pointers without their first slash."""
    found = [{"pointer": f"/{pointer}", "detail": text} for pointer, text in errors.items()]
    return answer({"type": "about:blank", "status": status, "detail": detail, "errors": found}, status, headers)


def job(job_id: int = 7, state: str = "available", **members: Any) -> dict[str, Any]:
    return {"id": job_id, "state": state, **members}
