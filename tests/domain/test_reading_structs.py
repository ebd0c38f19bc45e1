"""Bodies of requests that are no jobs."""

import msgspec
import pytest

from queue_server.domain.errors import InvalidJob
from queue_server.domain.job import ShortText
from queue_server.domain.reading import read_as


class Form(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A body with a member that is needed and some that are not."""

    name: ShortText
    count: int = 0
    members: dict[str, msgspec.Raw] | None = None


def problems(text: bytes) -> dict[str, str]:
    """What is wrong with a body: message by path."""
    with pytest.raises(InvalidJob) as caught:
        read_as(text, Form)
    return {problem.path: problem.message for problem in caught.value.problems}


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_good_body_is_read(mark):
    form = read_as(mark + b'{"name":"x","members":{"a":1e999}}', Form)
    assert (form.name, form.count) == ("x", 0)
    assert bytes(form.members["a"]) == b"1e999"


def test_every_member_that_is_wrong_is_named():
    assert problems(b'{"count":"x","a/b~":1,"members":[]}') == {
        "/a~1b~0": "is not a known member; known are name, count, members",
        "/name": "is required",
        "/count": "must be a whole number, not a text",
        "/members": "must be an object, not a list",
    }
    expected = "must be a text of 1 to 255 characters without control characters"
    assert problems(b'{"name":""}') == {"/name": expected}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "the JSON ends too early"),
        (b"[]", "must be a JSON object"),
        (b"{", "the JSON ends too early"),
        (b'{"name":"\xff"}', "the body is not valid UTF-8 (byte 9)"),
        (b'{"name":"\\ud800"}', "a text contains half a surrogate pair (\\ud800 to \\udfff), which is no character"),
        (b'{"name":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "the JSON is nested too deeply"),
        (b'{"name":nope}', "the body is not JSON: "),
    ],
    ids=["nothing", "list", "truncated", "no UTF-8", "half a pair", "deep", "no JSON"],
)
def test_body_that_is_no_object_says_so(text, message):
    (found,) = problems(text).values()
    assert found.startswith(message)
