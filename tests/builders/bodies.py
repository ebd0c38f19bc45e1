"""Jobs as clients write them, and what is wrong with those that are none."""

import re

import pytest

from queue_server.domain.errors import InvalidJob
from queue_server.domain.reading import read_request
from tests.builders.strategies import body

HTTP = {"type": "http", "url": "http://example.com/"}
EXEC = {"type": "exec", "cmd": "true"}
POINTER = re.compile(r"\A(/([^~/]|~[01])*)*\Z")
"""RFC 6901 section 3."""


def problems(text: bytes) -> dict[str, str]:
    """What is wrong with a body: message by path."""
    with pytest.raises(InvalidJob) as caught:
        read_request(text)
    assert caught.value.problems
    found = {problem.path: problem.message for problem in caught.value.problems}
    assert all(POINTER.match(path) for path in found)
    assert all(found.values())
    return found


def job(**members: object) -> bytes:
    """A job with a good command and these members, as JSON."""
    return body({"command": HTTP} | members)


def http(**members: object) -> bytes:
    """A job whose http command has these members, as JSON."""
    return body({"command": HTTP | members})


def raw(member: str) -> bytes:
    """A good job's JSON with a member written by hand at its end."""
    return b'{"command":{"type":"http","url":"http://example.com/"},%s}' % member.encode()


def raw_http(member: str) -> bytes:
    """The same, with the member in the command."""
    return b'{"command":{"type":"http","url":"http://example.com/",%s}}' % member.encode()
