"""The jobs that are measured, as a client posts them."""

import msgspec

FIRST, LAST = 500, 0


def http_job(url: str, priority: int = FIRST) -> bytes:
    """A job that posts a small form."""
    command = {"type": "http", "url": url, "method": "POST", "params": {"username": "michael"}}
    return msgspec.json.encode({"priority": priority, "context": "benchmark", "command": command})


def exec_job() -> bytes:
    """A job that runs the shortest command there is."""
    command = {"type": "exec", "args": ["/bin/true"]}
    return msgspec.json.encode({"priority": FIRST, "context": "benchmark", "command": command})
