"""Runs http commands. Redirects are not followed, and what comes back is kept as it came."""

from collections.abc import Callable
from datetime import UTC
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from queue_server.domain.command import HttpCommand
from queue_server.domain.expect import HTTP_DEFAULT, HTTP_RANGE, expected_codes
from queue_server.domain.instants import EPOCH, MICROSECOND
from queue_server.domain.job import Job
from queue_server.domain.outcome import Outcome, OutcomeKind, Output
from queue_server.domain.placeholders import fill_http, values_for
from queue_server.executors.http_client.client import Client
from queue_server.executors.http_client.failures import RequestFailed, RequestTimedOut
from queue_server.executors.http_client.response import Response
from queue_server.executors.http_request import message_of


class HttpExecutor:
    """See Executor."""

    def __init__(
        self,
        *,
        version: str,
        output_limit: int,
        default_timeout: float,
        connect_timeout: float,
        now: Callable[[], int],
    ) -> None:
        self._user_agent = f"QueueServer/{version}"
        self._output_limit = output_limit
        self._default_timeout = default_timeout
        self._client = Client(connect_timeout)
        self._now = now

    async def start(self) -> None:
        """See Executor.start."""

    async def run(self, job: Job) -> Outcome:
        """See Executor.run."""
        command = job.plan.command
        if not isinstance(command, HttpCommand):
            raise TypeError(f"job {job.id} is not an http job")
        if job.may_have_placeholders:
            command = fill_http(command, values_for(job))
        response = Response(self._output_limit)
        try:
            message = message_of(command, job, self._user_agent)
            await self._client.send(message, response, command.timeout or self._default_timeout)
        except RequestTimedOut as failure:
            return _failed(OutcomeKind.TIMED_OUT, failure, response)
        except (RequestFailed, ValueError) as failure:
            return _failed(OutcomeKind.FAILED, failure, response)
        return self._judge(command, response)

    def ahead(self) -> int:
        """See Executor.ahead: requests have slots enough."""
        return 0

    def kill_at_once(self) -> None:
        """See Executor.kill_at_once: requests are dropped at once anyway."""

    async def stop(self) -> None:
        """See Executor.stop."""
        self._client.close()

    def _judge(self, command: HttpCommand, response: Response) -> Outcome:
        status = response.status
        if status in expected_codes(command.expect or HTTP_DEFAULT, HTTP_RANGE):
            return Outcome(OutcomeKind.SUCCEEDED, status, output=_output(response))
        retry_after = None
        if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
            retry_after = parse_retry_after(response.header("retry-after"), self._now())
        error = _status_message(status, response.header("location"))
        return Outcome(OutcomeKind.FAILED, status, error=error, retry_after=retry_after, output=_output(response))


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


def _failed(kind: OutcomeKind, failure: Exception, response: Response) -> Outcome:
    """The outcome of a request that broke off, with what had come by then."""
    return Outcome(kind, response.status or None, error=str(failure), output=_output(response))


def _output(response: Response) -> Output:
    return Output(response.text, b"", response.head, response.size)


def _status_message(status: int, location: str | None) -> str:
    try:
        name = f"HTTP {status} {HTTPStatus(status).phrase}"
    except ValueError:
        name = f"HTTP {status}"
    return f"{name}: redirects are not followed (to {location})" if location and 300 <= status < 400 else name
