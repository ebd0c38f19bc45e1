"""When a failed job runs again.

The delay before attempt n + 1, after n counted attempts, with `d` = min_delay:

    none         0
    fixed        d
    linear       d * n
    exponential  d * 2 ** (n - 1)

spread by ± jitter (0.2 means 80 % to 120 %), so that jobs which failed together do not come back together, and never
more than max_delay. A target that says Retry-After is not asked sooner, but max_delay caps that wish too.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

SECOND = 1_000_000
YEAR_S = 366 * 86_400

Attempts = Annotated[int, Meta(ge=1, le=1000, extra={"expected": "a whole number from 1 to 1000"})]
Delay = Annotated[float, Meta(ge=0, le=YEAR_S, extra={"expected": "seconds, from 0 to 31622400 (a year)"})]
Jitter = Annotated[float, Meta(ge=0, le=1, extra={"expected": "a number from 0 to 1"})]
Backoff = Literal["none", "fixed", "linear", "exponential"]


class Retry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How often and when a job is tried again. Delays are in seconds."""

    max_attempts: Attempts = 1
    backoff: Backoff = "exponential"
    min_delay: Delay = 1.0
    max_delay: Delay = 3600.0
    jitter: Jitter = 0.2


ONCE = Retry()
CALLBACK_RETRY = Retry(max_attempts=5)
"""A callback is retried even though jobs are not: losing it silently would break the promise to report the end."""


def delay_after(retry: Retry, attempts: int, *, retry_after: float | None, chance: float) -> int:
    """Microseconds to wait after `attempts` (≥ 1) counted attempts; `chance` is uniform in [0, 1)."""
    base = min(_backoff(retry, attempts), retry.max_delay)
    spread = base * (1 + retry.jitter * (2 * chance - 1))
    wished = min(retry_after or 0.0, retry.max_delay)
    return round(max(min(spread, retry.max_delay), wished) * SECOND)


def _backoff(retry: Retry, attempts: int) -> float:
    match retry.backoff:
        case "none":
            return 0.0
        case "fixed":
            return retry.min_delay
        case "linear":
            return retry.min_delay * attempts
        case "exponential":  # pragma: no branch
            return retry.min_delay * 2.0 ** min(attempts - 1, 60)
