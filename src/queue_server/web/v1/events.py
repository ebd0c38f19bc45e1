"""Server-sent events: all of them, or those of one job."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from queue_server.domain.access import Right
from queue_server.domain.errors import InvalidJob, Problem
from queue_server.domain.job import Context, QueueName
from queue_server.domain.state import State
from queue_server.operations.look import Look
from queue_server.telemetry.events.event import EventType
from queue_server.telemetry.events.filters import EventFilter
from queue_server.telemetry.events.frames import EventView
from queue_server.telemetry.events.reader import Reader
from queue_server.telemetry.job_events import READERS_LIMIT, JobEvents
from queue_server.web.access.caller import access_of
from queue_server.web.classic import job_id_of
from queue_server.web.endpoint import Answer, Content, Endpoint
from queue_server.web.parameters import read_query, single_parameters
from queue_server.web.presence import CUT_OFF, ClientGone, WhilePresent
from queue_server.web.v1.views import job_view

PING_S = 15.0
EVENT_STREAM = "text/event-stream"
HEAD = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
    (b"x-content-type-options", b"nosniff"),
]
STOPPING = "the server is stopping"

LastEventId = Annotated[
    str, Meta(description="Go on after this event, as the header Last-Event-ID does, which wins over the parameter.")
]


class JobStreamQuery(msgspec.Struct, frozen=True):
    """The parameters of a job's events."""

    last_event_id: LastEventId = ""


class StreamQuery(msgspec.Struct, frozen=True):
    """The parameters of all events."""

    type: Annotated[str, Meta(description="Only these types, comma-separated, such as job.completed,job.failed.")] = ""
    state: Annotated[str, Meta(description="Only of jobs that are in these states now, comma-separated.")] = ""
    queue: Annotated[QueueName, Meta(description="Only of jobs of this queue.")] | None = None
    context: Annotated[Context, Meta(description="Only of jobs with this context.")] | None = None
    last_event_id: LastEventId = ""


class Events:
    """`/v1/events` and `/v1/jobs/{id}/events`. A comment is sent after each `ping_s` seconds of silence."""

    def __init__(self, events: JobEvents, look: Look, ping_s: float = PING_S) -> None:
        self._events = events
        self._look = look
        self._ping_s = ping_s
        self.endpoints = (
            Endpoint(
                method="GET",
                path="/v1/events",
                scope=Right.READ,
                handler=self.stream,
                is_raw=True,
                tag="events",
                summary="What happens to jobs, as it happens",
                description=STREAM_DESCRIPTION,
                query=StreamQuery,
                headers=REQUEST_HEADERS,
                answers={200: Answer("Events until you close the connection.", CONTENT)},
                errors=(400, 503),
            ),
            Endpoint(
                method="GET",
                path="/v1/jobs/{job_id}/events",
                scope=Right.READ,
                handler=self.stream_of_job,
                is_raw=True,
                tag="events",
                summary="What happens to a job, as it happens",
                description=JOB_STREAM_DESCRIPTION,
                query=JobStreamQuery,
                headers=REQUEST_HEADERS,
                answers={200: Answer("The job, then its events until its end.", CONTENT)},
                errors=(400, 404, 503),
            ),
        )

    async def stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Tell what happens to any job."""
        request = Request(scope)
        query = read_stream_query(single_parameters(request))
        self._check_room()
        last_id = _last_id(request, query.last_event_id)
        with self._events.open(filter_of(query), access_of(scope), last_id, _cut_off(scope)) as (reader, opening):
            await _begin(send, opening)
            await self._send_rest(reader, scope, receive, send)

    async def stream_of_job(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Tell how a job is, and what happens to it until its end."""
        request = Request(scope)
        query = read_query(single_parameters(request), JobStreamQuery)
        self._check_room()
        job_id, access, last_id = job_id_of(request), access_of(scope), _last_id(request, query.last_event_id)
        with self._events.open(EventFilter(job_id=job_id), access, last_id, _cut_off(scope)) as (reader, opening):
            job = await self._look.job(job_id, access)
            if job is None:
                raise HTTPException(404, f"There is no job {request.path_params['job_id']}")
            await _begin(send, opening + reader.frame("job", job_view(job)))
            if job.state.is_final:
                reader.finish()
            await self._send_rest(reader, scope, receive, send)

    async def _send_rest(self, reader: Reader, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with WhilePresent(scope, receive):
                while data := await reader.read(self._ping_s):
                    await send({"type": "http.response.body", "body": data, "more_body": True})
        except ClientGone:
            """It may have closed its sending half only: then it sees a proper end."""
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _check_room(self) -> None:
        if self._events.is_closed:
            raise HTTPException(503, STOPPING, {"Retry-After": "10"})
        if not self._events.has_room:
            raise HTTPException(503, f"{READERS_LIMIT} event streams are open already", {"Retry-After": "10"})


REQUEST_HEADERS = {"Last-Event-ID": "Go on after this event: the last id that was received."}
CONTENT = Content(EventView, EVENT_STREAM, "Each event's data is one line of JSON.")
RESUMING = (
    "Each event has an id. Send the last one as `Last-Event-ID` (or `last_event_id`) to go on after it: nothing is "
    "missed and nothing told twice. Where that can't be, `event: reset` comes first, with data such as "
    '`{"reason":"the event is too old"}`: read the state anew, then go on with what follows. It comes in the middle of '
    "a stream too, when more has happened than can be told. `: ping` is sent after 15 s of silence. A client that does "
    "not keep up is cut off."
)
STREAM_DESCRIPTION = "Server-sent events of all jobs, or of those that fulfil all filters. " + RESUMING
JOB_STREAM_DESCRIPTION = (
    "Server-sent events: first `event: job` with the job as `GET /v1/jobs/{job_id}` shows it, then what happens to it. "
    "The stream ends after the job's end, at once if it has ended already. " + RESUMING
)

E = TypeVar("E", bound=StrEnum)


def read_stream_query(parameters: Mapping[str, str]) -> StreamQuery:
    """The parameters of all events; InvalidJob with a problem for each that is wrong."""
    problems = [*_unknown(parameters, "type", EventType), *_unknown(parameters, "state", State)]
    try:
        query = read_query(parameters, StreamQuery)
    except InvalidJob as error:
        raise InvalidJob([*error.problems, *problems]) from None
    if problems:
        raise InvalidJob(problems)
    return query


def filter_of(query: StreamQuery) -> EventFilter:
    """The filter that the parameters describe."""
    return EventFilter(
        types=_values(query.type, EventType),
        states=_values(query.state, State),
        queue=query.queue,
        context=query.context,
    )


def _unknown(parameters: Mapping[str, str], name: str, values: type[E]) -> list[Problem]:
    known = ", ".join(values)
    wrong = [text for text in _parts(parameters.get(name, "")) if text not in list(values)]
    return [Problem(f"/{name}", f"{text!r} is not one of {known}") for text in wrong]


def _values(text: str, values: type[E]) -> frozenset[E] | None:
    return frozenset(map(values, _parts(text))) or None


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _last_id(request: Request, parameter: str) -> str:
    return request.headers.get("last-event-id") or parameter


def _cut_off(scope: Scope) -> Callable[[], None]:
    return scope["state"][CUT_OFF]


async def _begin(send: Send, opening: bytes) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": HEAD})
    await send({"type": "http.response.body", "body": opening, "more_body": True})
