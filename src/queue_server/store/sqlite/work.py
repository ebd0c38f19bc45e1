"""What the writer's thread can be asked to do."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

import msgspec

from queue_server.domain.job import NewJob
from queue_server.domain.lifecycle import Transition
from queue_server.store.contract import Claim
from queue_server.store.sqlite.session import Session

AnyFuture = asyncio.Future[Any] | Future[Any]


class Add(msgspec.Struct, frozen=True):
    """Jobs to be added, all or none."""

    future: AnyFuture
    jobs: Sequence[NewJob]


class AddOnce(msgspec.Struct, frozen=True):
    """Jobs with idempotency keys to be added, all or none."""

    future: AnyFuture
    jobs: Sequence[NewJob]


class Exchange(msgspec.Struct, frozen=True):
    """Transitions to be applied and, after them, jobs to be claimed."""

    future: AnyFuture
    transitions: Sequence[Transition]
    claim: Claim | None


class Call(msgspec.Struct, frozen=True):
    """Anything else that is done in a transaction."""

    future: AnyFuture
    action: Callable[[Session], Any]


Work = Add | AddOnce | Exchange | Call
