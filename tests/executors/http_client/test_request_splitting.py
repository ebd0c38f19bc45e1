"""Whatever a job says, what is sent is one request, and the one that was meant.

h11 is the strict reader here: it has nothing in common with what makes the request.
"""

import base64
from typing import Any
from urllib.parse import parse_qsl, quote_plus

import h11
import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from queue_server.domain.checks import command_problems
from queue_server.domain.command import HttpCommand
from queue_server.domain.job import Job, JobRequest, Plan
from queue_server.domain.placeholders import fill_http, values_for
from queue_server.domain.state import State
from queue_server.executors.http_request import message_of

AGENT = "QueueServer/1"

nasty = st.lists(
    st.sampled_from(
        ["\r\n", "\n", "\r", "\0", " ", "\t", "\x0b", "\x85", "\u2028", "\u3000", "\ufeff", "\xa0", "ċ", "Ċ"]
    )
    | st.sampled_from(["%0d%0a", "%", "#", "?", "/", ":", "@", "\\", "&", "=", "+", '"', "é", "\U0001f418", "x", "1"])
    | st.sampled_from(["__CONTEXT__", "__JOBID__", "__ATTEMPT__", " HTTP/1.1\r\nHost: evil\r\n\r\nGET /evil", "A: b"])
    | st.characters(exclude_categories=["Cs"]),
    max_size=8,
).map("".join)
contexts = nasty.map(lambda text: "".join(letter for letter in text if letter >= " " and letter != "\x7f"))
names = nasty | st.sampled_from(
    ["Host", "host", "Content-Type", "User-Agent", "x-queue-job-id", "X-A", "x-a", "Expect"]
)
params = st.dictionaries(nasty, st.recursive(nasty | st.integers() | st.none(), st.lists, max_leaves=3), max_size=3)


@st.composite
def commands(draw: st.DrawFn) -> HttpCommand:
    method = draw(st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", None]))
    authority = draw(st.sampled_from(["h", "h:81", "[::1]:81", "h" + draw(nasty), draw(nasty) + "@h"]))
    url = (
        draw(st.sampled_from(["http://", "HTTPS://"]))
        + authority
        + draw(st.sampled_from(["/", "?", "#", ""]))
        + draw(nasty)
    )
    members: dict[str, Any] = {"url": url, "method": method}
    if draw(st.booleans()):
        members["headers"] = draw(st.dictionaries(names, nasty, max_size=4))
    if draw(st.booleans()):
        members["params"] = draw(params)
    match draw(st.integers(0, 3)):
        case 1:
            members["json"] = msgspec.Raw(msgspec.json.encode(draw(params)))
        case 2:
            members["body"] = draw(nasty)
        case 3:
            members["body_base64"] = base64.b64encode(draw(st.binary())).decode()
    command = HttpCommand(**members)
    assume(not list(command_problems(command, "")))
    return command


def job_of(command: HttpCommand, context: str = "default") -> Job:
    return Job(
        id=7,
        state=State.RUNNING,
        claim_seq=3,
        attempt=2,
        refunded=0,
        losses=0,
        priority=500,
        context=context,
        created_at=0,
        claimed_at=0,
        node_id=1,
        plan=Plan(command=command),
    )


def sent(command: HttpCommand, context: str = "default") -> bytes:
    job = job_of(command, context)
    return message_of(fill_http(command, values_for(job)), job, AGENT).data


def read(data: bytes) -> tuple[h11.Request, bytes]:
    """The one request in these bytes."""
    parser = h11.Connection(h11.SERVER)
    parser.receive_data(data)
    request, body = parser.next_event(), b""
    assert isinstance(request, h11.Request)
    while isinstance(event := parser.next_event(), h11.Data):
        body += event.data
    assert isinstance(event, h11.EndOfMessage)
    assert parser.trailing_data[0] == b""
    return request, body


@settings(max_examples=200, deadline=None)
@given(command=commands(), context=contexts)
def test_what_is_sent_is_exactly_the_request_that_was_meant(command: HttpCommand, context: str) -> None:
    try:
        data = sent(command, context)
    except ValueError:  # a url whose host is no name after all: nothing is sent
        return
    request, body = read(data)
    assert request.method.decode() == command.effective_method
    assert request.target.startswith(b"/")
    filled = fill_http(command, values_for(job_of(command, context)))
    assert body == expected_body(filled)
    given = {name.lower().encode(): value for name, value in (filled.headers or {}).items()}
    own = {
        b"host",
        b"user-agent",
        b"accept",
        b"accept-encoding",
        b"x-queue-job-id",
        b"x-queue-attempt",
        b"x-queue-claim",
        b"idempotency-key",
    }
    found = [name for name, _ in request.headers]
    assert len(found) == len(set(found))
    assert set(found) - {b"content-length", b"content-type", b"authorization"} <= own | set(given)
    for name, value in request.headers:
        if name in given and not name.startswith(b"x-queue-"):
            assert value == given[name].encode().strip(b" \t")
    assert (b"x-queue-job-id", b"7") in list(request.headers)


def expected_body(command: HttpCommand) -> bytes:
    if command.json is not msgspec.UNSET:
        return bytes(command.json)
    if command.body is not None:
        return command.body.encode()
    if command.body_base64 is not None:
        return base64.b64decode(command.body_base64)
    if command.params and command.effective_method not in ("GET", "HEAD", "DELETE"):
        return form(command.params)
    return b""


def form(params: dict[str, Any]) -> bytes:
    def flat(name: str, value: Any) -> list[str]:
        if value is None:
            return []
        if isinstance(value, list):
            return [pair for index, item in enumerate(value) for pair in flat(f"{name}[{index}]", item)]
        return [f"{quote_plus(name)}={quote_plus(str(value))}"]

    return "&".join(pair for name, value in params.items() for pair in flat(name, value)).encode()


@settings(max_examples=200, deadline=None)
@given(params=st.dictionaries(nasty, nasty, max_size=3), query=st.sampled_from(["", "?a=1", "?a=1#part", "#part"]))
def test_params_arrive_as_they_were_given(params: dict[str, str], query: str) -> None:
    command = HttpCommand(url="http://h/x" + query, params=params)
    request, _ = read(sent(command, "c"))
    path, _, found = request.target.decode().partition("?")
    expected = fill_http(command, values_for(job_of(command, "c"))).params or {}
    assert path == "/x"
    assert parse_qsl(found, keep_blank_values=True) == ([("a", "1")] if "a=1" in query else []) + list(expected.items())


def test_context_can_not_end_a_line() -> None:
    """Its pattern holds what headers rely on."""
    for end in ("\r", "\n", "\0", "\x7f"):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert({"command": {"type": "http", "url": "http://h/"}, "context": f"a{end}b"}, JobRequest)


def test_credentials_of_the_url_give_way_to_the_headers() -> None:
    own = read(sent(HttpCommand(url="http://ann:x@h/")))[0].headers
    assert dict(own)[b"authorization"] == b"Basic " + base64.b64encode(b"ann:x")
    theirs = read(sent(HttpCommand(url="http://ann:x@h/", headers={"authorization": "Bearer y"})))[0].headers
    assert [value for name, value in theirs if name == b"authorization"] == [b"Bearer y"]


def test_header_that_is_given_twice_in_two_cases_is_sent_once() -> None:
    request, _ = read(sent(HttpCommand(url="http://h/", headers={"Host": "a", "host": "b", "X-Queue-Job-Id": "9"})))
    assert [value for name, value in request.headers if name == b"host"] == [b"b"]
    assert [value for name, value in request.headers if name == b"x-queue-job-id"] == [b"7"]


def test_header_values_are_sent_in_utf_8() -> None:
    assert "\r\nX-A: häß\U0001f418\r\n".encode() in sent(HttpCommand(url="http://h/", headers={"X-A": "häß\U0001f418"}))


def test_context_in_the_url_is_one_part_of_it() -> None:
    request, _ = read(sent(HttpCommand(url="http://h/__CONTEXT__?a=__CONTEXT__"), "a/b?c=d&e#f g%é"))
    assert request.target == b"/a%2Fb%3Fc%3Dd%26e%23f%20g%25%C3%A9?a=a%2Fb%3Fc%3Dd%26e%23f%20g%25%C3%A9"


@pytest.mark.parametrize("context", ["a\r\nX: evil", "a\nX: evil", "a\rb", "a\0b", "a\x7fb"])
def test_placeholder_that_stands_for_a_line_end_never_reaches_a_header(context: str) -> None:
    """A context is checked when a job is added; this holds for one that came into the store by another way."""
    job = job_of(HttpCommand(url="http://h/", headers={"X-A": "__CONTEXT__"}), context)
    with pytest.raises(ValueError, match="the header X-A contains a line end"):
        message_of(fill_http(job.plan.command, values_for(job)), job, AGENT)
