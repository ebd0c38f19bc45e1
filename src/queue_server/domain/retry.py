"""When a failed job runs again.

The delay before attempt n + 1, after n counted attempts, with `d` = min_delay:

    none         0
    fixed        d
    linear       d * n
    exponential  d * 2 ** (n - 1)

spread by ± jitter (0.2 means 80 % to 120 %), so that jobs which failed together do not come back together, and never
more than max_delay. A target that says Retry-After is not asked sooner, but max_delay caps that wish too.

`retry_on` names the statuses or exit codes after which a job is tried again; a failure that has none (refused, timed
out before an answer) always is. `max_duration` ends the trying so many seconds after the first attempt started.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from queue_server.domain.expect import expected_codes

SECOND = 1_000_000
YEAR_S = 366 * 86_400
ANY_CODE = range(600)
"""Exit codes and HTTP statuses alike."""

Attempts = Annotated[int, Meta(ge=1, le=1000, extra={"expected": "a whole number from 1 to 1000"})]
Delay = Annotated[float, Meta(ge=0, le=YEAR_S, extra={"expected": "seconds, from 0 to 31622400 (a year)"})]
Jitter = Annotated[float, Meta(ge=0, le=1, extra={"expected": "a number from 0 to 1"})]
Backoff = Literal["none", "fixed", "linear", "exponential"]
Codes = Annotated[
    str | int | list[str | int],
    Meta(extra={"expected": 'statuses or exit codes such as "429,500-599", or a list of them'}),
]


class Retry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How often and when a job is tried again. Delays are in seconds; `retry_on` is a text such as `429,500-599`."""

    max_attempts: Attempts = 1
    backoff: Backoff = "exponential"
    min_delay: Delay = 1.0
    max_delay: Delay = 3600.0
    jitter: Jitter = 0.2
    retry_on: str | None = None
    max_duration: Delay | None = None


class RetryWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The `retry` member as a client writes it. What it leaves out comes from the server's settings."""

    max_attempts: Attempts | UnsetType = UNSET
    backoff: Backoff | UnsetType = UNSET
    min_delay: Delay | UnsetType = UNSET
    max_delay: Delay | UnsetType = UNSET
    jitter: Jitter | UnsetType = UNSET
    retry_on: Codes | None = None
    max_duration: Delay | None = None


ONCE = Retry()
CALLBACK_RETRY = Retry(max_attempts=5)
"""A callback is retried even though jobs are not: losing it silently would break the promise to report the end."""


def resolve(wish: RetryWish | None, defaults: Retry) -> Retry | None:
    """What applies to a job: its wish completed by the defaults. None stands for ONCE."""
    if wish is None:
        return None if defaults == ONCE else defaults
    given = {
        name: value
        for name in ("max_attempts", "backoff", "min_delay", "max_delay", "jitter", "max_duration")
        if (value := getattr(wish, name)) is not UNSET and value is not None
    }
    if wish.retry_on is not None:
        given["retry_on"] = codes_text(wish.retry_on)
    retry = msgspec.structs.replace(defaults, **given)
    if retry.min_delay <= retry.max_delay:
        return retry
    if wish.max_delay is UNSET:  # the one that was given rules over the default
        return msgspec.structs.replace(retry, max_delay=retry.min_delay)
    return msgspec.structs.replace(retry, min_delay=retry.max_delay)


def codes_text(codes: str | int | list[str | int]) -> str:
    """The one form that is kept of the ways to write codes."""
    return ",".join(map(str, codes)) if isinstance(codes, list) else str(codes)


def is_worth_retrying(retry: Retry, code: int | None) -> bool:
    """Whether a failure with this status or exit code is one to try again after."""
    return code is None or retry.retry_on is None or code in expected_codes(retry.retry_on, ANY_CODE)


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
