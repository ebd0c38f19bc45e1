"""What is heard of runs on other nodes: pieces in order, gaps, and what of the stored output is still to be shown."""

import pytest

from queue_server.executors.live import Stream
from queue_server.executors.output import OutputBuffer
from queue_server.operations import elsewhere
from queue_server.operations.elsewhere import HEAD, Elsewhere, Heard, rest_of
from queue_server.store.relay import FOLLOWED_LIMIT, Followed


class Relay:
    """Hands messages to whoever listens."""

    is_relaying = True

    def __init__(self):
        self.hear = None
        self.wanted = []

    def on_relayed(self, listener):
        self.hear = listener

    def want_relayed(self, wanted):
        self.wanted.append(wanted)


@pytest.fixture
def relay():
    return Relay()


@pytest.fixture
def said():
    """What the node says that it follows, each time."""
    return []


@pytest.fixture
def runs(relay, said):
    numbers = iter(range(100, 1000))
    return Elsewhere(relay, lambda followed: said.append(list(followed)), lambda: next(numbers))


def heard_of(*pieces):
    heard = Heard()
    offset = 0
    for piece in pieces:
        heard.take(offset, offset + len(piece), piece)
        offset += len(piece)
    return heard


def test_a_run_is_said_to_be_followed_once_and_while_somebody_follows(runs, relay, said):
    with runs.following(7, 2) as one, runs.following(7, 2) as other:
        assert one is other
        assert said == [[Followed(7, 2, 100)]]
        assert relay.wanted == [True]
    assert said[-1] == []
    assert relay.wanted == [True, False]
    with runs.following(7, 2):
        assert said[-1] == [Followed(7, 2, 101)], "what is still sent to the first number is not taken for this one"


def test_pieces_come_to_the_run_and_stream_of_their_number(runs, relay):
    with runs.following(7, 2) as one, runs.following(8, 1) as other:
        relay.hear(HEAD.pack(101, 1, 0, 3) + b"err")
        relay.hear(HEAD.pack(999, 0, 0, 3) + b"not")
        assert other.streams[Stream.STDERR].read(0) == (b"err", 1)
        assert all(heard.read(0) == (b"", 0) for heard in one.streams.values())


def test_more_runs_than_a_node_may_follow_are_not_followed(runs):
    open_ones = [runs.following(job_id, 1) for job_id in range(FOLLOWED_LIMIT)]
    for one in open_ones:
        assert one.__enter__() is not None
    with runs.following(1000, 1) as follower:
        assert follower is None
    for one in open_ones:
        one.__exit__(None, None, None)


def test_pieces_that_come_twice_count_once_and_after_a_lost_one_none_counts():
    heard = heard_of(b"one", b"two")
    heard.take(0, 3, b"one")
    assert heard.read(0) == (b"onetwo", 2)
    heard.take(9, 12, b"four")
    assert heard.is_broken
    heard.take(6, 9, b"thr")
    assert heard.read(2) == (b"", 2)
    assert heard.end == 6


def test_who_comes_late_is_told_what_is_not_kept_any_more(monkeypatch):
    monkeypatch.setattr(elsewhere, "KEPT_BYTES", 6)
    heard = heard_of(b"one", b"two", b"thr")
    assert heard.read(0) == (b"\n[... 3 bytes dropped ...]\ntwothr", 3)
    assert heard.read(1) == (b"twothr", 3)
    assert heard.read(3) == (b"", 3)


def stored(text, limit):
    buffer = OutputBuffer(limit)
    buffer.feed(text)
    return buffer.value(), len(text)


@pytest.mark.parametrize("limit", [1000, 500, 101, 100, 1, 0])
@pytest.mark.parametrize("end", [0, 1, 30, 50, 51, 400, 460, 499, 500])
def test_what_was_heard_and_the_rest_are_the_whole(limit, end):
    text = bytes(n % 251 for n in range(500))
    value, size = stored(text, limit)
    heard = heard_of(text[:end]) if end else Heard()
    rest = rest_of(value, size, heard)
    if limit >= 500:
        assert text[:end] + rest == text
        return
    if not end:
        assert rest == value
        return
    tail = limit // 2
    if end <= (limit + 1) // 2:
        assert rest == value[end:]
    elif 500 - end <= tail:
        assert rest == text[end:]
    else:
        assert rest == b"\n[... %d bytes dropped ...]\n" % (500 - end - tail) + text[500 - tail :]


@pytest.mark.parametrize("text", [b"", b"another", b"on"])
def test_an_output_that_is_another_one_is_shown_whole(text):
    assert rest_of(text, len(text), heard_of(b"one")) == text


def test_a_line_of_the_output_that_looks_like_a_mark_is_none():
    text = b"a\n[... 28 bytes dropped ...]\nb"
    assert rest_of(text, len(text), heard_of(b"a\n")) == text[2:]
