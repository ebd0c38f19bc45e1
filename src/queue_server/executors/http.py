"""Runs http commands. Redirects are not followed, and what comes back is kept as it came.

`targets` says where they may go, and `limits_of` where those may go that a token has added.

A target that answers 202 and `X-Queue-Continue: true` goes on with the job past its request, and reports the result.
"""

import asyncio
import sys
from collections.abc import Callable
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from queue_server.domain.command import HttpCommand
from queue_server.domain.errors import SecretUnavailable
from queue_server.domain.expect import HTTP_DEFAULT, HTTP_RANGE, expected_codes
from queue_server.domain.instants import EPOCH, MICROSECOND, rfc3339
from queue_server.domain.job import Job
from queue_server.domain.outcome import Outcome, OutcomeKind
from queue_server.domain.placeholders import fill_http, values_for
from queue_server.domain.target_items import ANYWHERE, TargetLimits
from queue_server.domain.targets import Targets
from queue_server.executors.contract import RunCancelled
from queue_server.executors.http_client.client import Client
from queue_server.executors.http_client.failures import ConnectTimedOut, RequestFailed, RequestTimedOut
from queue_server.executors.http_client.response import Response
from queue_server.executors.http_request import message_of
from queue_server.executors.live import LiveOutput, LiveOutputs
from queue_server.vault.revealing import Revealer
from queue_server.vault.signing import signature_lines

ACCEPTED = 202
HEARTBEAT_LEAST_S, HEARTBEAT_MOST_S = 0.1, 7 * 86_400.0
"""What a target may ask for; anything else is a mistake, and the setting counts."""


class HttpExecutor:
    """See Executor."""

    def __init__(
        self,
        *,
        version: str,
        output_limit: int,
        default_timeout: float,
        connect_timeout: float,
        heartbeat_timeout: float = 60.0,
        max_response: int = sys.maxsize,
        targets: Targets,
        limits_of: Callable[[int | None], TargetLimits] = lambda _: ANYWHERE,
        now: Callable[[], int],
        revealer: Revealer,
    ) -> None:
        self._user_agent = f"QueueServer/{version}"
        self._output_limit = output_limit
        self._default_timeout = default_timeout
        self._heartbeat_timeout = heartbeat_timeout
        self._max_response = max_response
        self._client = Client(connect_timeout, targets)
        self._limits_of = limits_of
        self._live = LiveOutputs()
        self._now = now
        self._revealer = revealer

    async def start(self) -> None:
        """See Executor.start."""

    async def run(self, job: Job, time_left: float | None = None) -> Outcome:
        """See Executor.run."""
        command = job.plan.command
        if not isinstance(command, HttpCommand):
            raise TypeError(f"job {job.id} is not an http job")
        if job.may_have_placeholders:
            command = fill_http(command, values_for(job))
        if job.plan.secrets is None:
            return await self._run(job, command, time_left)
        try:
            command, revealed = self._revealer.reveal(command, job.plan.secrets)
        except SecretUnavailable as error:
            return Outcome(OutcomeKind.FAILED, error=str(error))
        return revealed.hidden_in(await self._run(job, command, time_left))

    async def _run(self, job: Job, command: HttpCommand, time_left: float | None) -> Outcome:
        timeout = command.timeout or self._default_timeout
        limit = timeout if time_left is None else min(timeout, time_left)
        response = Response(self._output_limit, self._max_response)
        self._live.add(job.id, job.claim_seq, response)
        try:
            message = message_of(command, job, self._user_agent, self._signature if self._revealer.signing else None)
            await self._client.send(message, response, limit, self._limits_of(job.plan.token_id))
        except RequestTimedOut as failure:
            is_deadline = limit < timeout and not isinstance(failure, ConnectTimedOut)
            return _timed_out(failure, response, job.plan.deadline if is_deadline else None)
        except (RequestFailed, ValueError) as failure:
            return _failed(OutcomeKind.FAILED, str(failure), response)
        except asyncio.CancelledError:
            raise RunCancelled(response.snapshot(), response.timings) from None
        finally:
            self._live.end(job.id, response)
        return self._judge(job, command, response)

    def live(self, job_id: int, claim_seq: int | None = None) -> LiveOutput | None:
        """See Executor.live."""
        return self._live.find(job_id, claim_seq)

    def ahead(self) -> int:
        """See Executor.ahead: requests have slots enough."""
        return 0

    def kill_at_once(self) -> None:
        """See Executor.kill_at_once: requests are dropped at once anyway."""

    async def stop(self) -> None:
        """See Executor.stop."""
        self._client.close()

    def _signature(self, job_id: int, body: bytes) -> str:
        return signature_lines(self._revealer.signing, f"job_{job_id}", self._now(), body)

    def _judge(self, job: Job, command: HttpCommand, response: Response) -> Outcome:
        status, output, timings = response.status, response.snapshot(), response.timings
        if status in expected_codes(command.expect or HTTP_DEFAULT, HTTP_RANGE):
            if status == ACCEPTED and job.plan.report is None and _goes_on(response):
                heartbeat = parse_heartbeat(response.header("x-queue-heartbeat"), self._heartbeat_timeout)
                return Outcome(OutcomeKind.CONTINUED, status, output=output, timings=timings, heartbeat=heartbeat)
            return Outcome(OutcomeKind.SUCCEEDED, status, output=output, timings=timings)
        retry_after = None
        if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
            retry_after = parse_retry_after(response.header("retry-after"), self._now())
        return Outcome(
            OutcomeKind.FAILED,
            status,
            error=_status_message(status, response.header("location")),
            retry_after=retry_after,
            output=output,
            timings=timings,
        )


def parse_retry_after(text: str | None, now: int) -> float | None:
    """Seconds to wait by a Retry-After header: a number of seconds or a date (RFC 9110 section 10.2.3)."""
    if text is None:
        return None
    if text.strip().isdecimal():
        return float(text.strip()[:12])
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, ((moment - EPOCH) // MICROSECOND - now) / 1_000_000)


def parse_heartbeat(text: str | None, default: float) -> float:
    """Seconds that may pass between signs of life, as a target wishes it; the default where it wishes nothing sane."""
    try:
        seconds = float(text or "")
    except ValueError:
        return default
    return seconds if HEARTBEAT_LEAST_S <= seconds <= HEARTBEAT_MOST_S else default


def _goes_on(response: Response) -> bool:
    return (response.header("x-queue-continue") or "").lower() in ("true", "1")


def _timed_out(failure: Exception, response: Response, deadline: int | None) -> Outcome:
    """Time was up; `deadline` is set where it was the job's and not the request's own."""
    error = f"its deadline, {rfc3339(deadline)}, passed: {failure}" if deadline else str(failure)
    return _failed(OutcomeKind.TIMED_OUT, error, response)


def _failed(kind: OutcomeKind, error: str, response: Response) -> Outcome:
    """The outcome of a request that broke off, with what had come by then."""
    output, timings = response.snapshot(), response.timings
    return Outcome(kind, response.status or None, error=error, output=output, timings=timings)


def _status_message(status: int, location: str | None) -> str:
    try:
        name = f"HTTP {status} {HTTPStatus(status).phrase}"
    except ValueError:
        name = f"HTTP {status}"
    return f"{name}: redirects are not followed (to {location})" if location and 300 <= status < 400 else name
