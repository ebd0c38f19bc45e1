"""The jobs that are measured, as a client posts them."""

import msgspec

FIRST, LAST = 500, 0


def http_job(url: str, priority: int = FIRST) -> bytes:
    """A job that posts a small form."""
    command = {"type": "http", "url": url, "method": "POST", "params": {"username": "michael"}}
    return msgspec.json.encode({"priority": priority, "context": "benchmark", "command": command})


def late_job(url: str) -> bytes:
    """A job that runs tomorrow."""
    job = {"context": "benchmark", "delay": 86_400, "command": {"type": "http", "url": url}}
    return msgspec.json.encode(job)


def batch(url: str, count: int, **members: str) -> bytes:
    """A batch of jobs that are all a little different; `members` are those of each command."""
    commands = [{"type": "http", "url": f"{url}?mailing=1234&recipient={n}"} | members for n in range(count)]
    if not members:
        commands = [command | {"method": "POST", "params": {"username": "michael"}} for command in commands]
    return msgspec.json.encode([{"context": "benchmark", "command": command} for command in commands])


def exec_job() -> bytes:
    """A job that runs the shortest command there is."""
    command = {"type": "exec", "args": ["/bin/true"]}
    return msgspec.json.encode({"priority": FIRST, "context": "benchmark", "command": command})
