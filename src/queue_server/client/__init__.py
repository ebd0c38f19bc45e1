"""The Python client: `Client` blocks, `AsyncClient` is awaited; their methods are the same.

    from queue_server.client import Client

    with Client() as client:
        job = client.add(url="https://example.com/send-mails", retry={"max_attempts": 5})
        print(client.wait(job.id).state)

What is asked and how answers are understood is written once, as generators of steps (`exchange`); only the modules
called sync_… and async_… touch the network.
"""

from queue_server.client.async_client import AsyncClient
from queue_server.client.client import Client
from queue_server.client.composing import JobMembers
from queue_server.client.errors import (
    ClientError,
    Conflict,
    Deleted,
    ForeignAnswer,
    IdempotencyMismatch,
    Invalid,
    InvalidSignature,
    Mistake,
    NotAuthorised,
    NotFound,
    Problem,
    Refused,
    StillGoingOn,
    TooLarge,
    Unavailable,
    Unreachable,
)
from queue_server.client.filters import EventFilters, JobFilters, ManyFilters
from queue_server.client.results import (
    Act,
    Attempt,
    Event,
    Explanation,
    Heartbeat,
    Job,
    KeptSecret,
    Matched,
    NewSecret,
    Operation,
    Rekeyed,
    Slots,
    Stats,
)
from queue_server.client.webhooks import verify
from queue_server.domain.errors import QueueServerError

__all__ = [
    "Act",
    "AsyncClient",
    "Attempt",
    "Client",
    "ClientError",
    "Conflict",
    "Deleted",
    "Event",
    "EventFilters",
    "Explanation",
    "ForeignAnswer",
    "Heartbeat",
    "IdempotencyMismatch",
    "Invalid",
    "InvalidSignature",
    "Job",
    "JobFilters",
    "JobMembers",
    "KeptSecret",
    "ManyFilters",
    "Matched",
    "Mistake",
    "NewSecret",
    "NotAuthorised",
    "NotFound",
    "Operation",
    "Problem",
    "QueueServerError",
    "Refused",
    "Rekeyed",
    "Slots",
    "Stats",
    "StillGoingOn",
    "TooLarge",
    "Unavailable",
    "Unreachable",
    "verify",
]
