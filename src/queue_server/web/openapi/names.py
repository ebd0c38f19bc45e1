"""What requests and their parameters are called."""

import re

from queue_server.web.endpoint import Endpoint
from queue_server.web.errors import V1

VERBS = {"GET": "get", "POST": "add", "PATCH": "change", "DELETE": "delete"}


def name_of(endpoint: Endpoint) -> str:
    """The request's operationId."""
    return endpoint.operation_id or made_name(endpoint.method, endpoint.path)


def made_name(method: str, path: str) -> str:
    """A name for clients: `getJobs`, `changeJob`, `getJobOutput`, `cancelJob`, `retryJobs`, `heartbeatJobAttempt`."""
    path, _, action = path.removeprefix("/v1").strip("/").partition(":")
    words: list[str] = []
    for part in path.split("/"):
        if part.startswith("{"):
            words[-1] = words[-1].removesuffix("s")
        else:
            words.append(part)
    if method == "POST" and not action and len(words) > 1 and path.rpartition("/")[0].endswith("}"):
        action = words.pop()
    name = "".join(word[:1].upper() + word[1:] for word in re.split(r"\W+", " ".join(words)))
    return (action or VERBS[method]) + name


def path_parameters(path: str) -> list[str]:
    """The names of the parameters in a path."""
    return re.findall(r"\{(\w+)\}", path)


def is_of_v1(path: str) -> bool:
    """Whether the path belongs to the API under /v1, not to the first one."""
    return path == V1 or path.startswith(f"{V1}/")
