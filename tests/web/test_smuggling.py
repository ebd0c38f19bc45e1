"""What two readers could understand differently is refused, and the connection is closed: nothing behind it is read.

Behind each bad request comes a good one that adds a job. A reader who takes the bad one apart in another way
would add it.
"""

import pytest

from tests.support.raw import Answer, connect, parse, read_answer
from tests.support.server import Server

BODY = b'{"delay":3600,"command":{"type":"http","url":"http://127.0.0.1:9/"}}'
GOOD = b"POST /jobs/add HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
POST = b"POST /jobs/add HTTP/1.1\r\nHost: h\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
GET = b"GET / HTTP/1.1\r\nHost: h\r\n"

BAD = {
    "length, then chunks": POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks, then length": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two lengths that differ": POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "two lengths that agree": POST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    "a list of lengths": POST + b"Content-Length: 2, 2\r\n\r\n{}",
    "a length with a plus": POST + b"Content-Length: +2\r\n\r\n{}",
    "a length with a minus": POST + b"Content-Length: -0\r\n\r\n{}",
    "a length with a space": POST + b"Content-Length: 2 2\r\n\r\n{}",
    "a length with an underscore": POST + b"Content-Length: 1_0\r\n\r\n{}",
    "a length in hex": POST + b"Content-Length: 0x2\r\n\r\n{}",
    "a length with a fraction": POST + b"Content-Length: 2.0\r\n\r\n{}",
    "an empty length": POST + b"Content-Length:\r\n\r\n{}",
    "a length beyond 64 bits": POST + b"Content-Length: 18446744073709551618\r\n\r\n{}",
    "the coding identity": POST + b"Transfer-Encoding: identity\r\n\r\n{}",
    "the coding xchunked": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked and one more": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "gzip and chunked": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked twice": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked behind a vertical tab": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "chunked on a folded line": POST + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "chunks in HTTP/1.0": CHUNKED.replace(b"HTTP/1.1", b"HTTP/1.0") + b"0\r\n\r\n",
    "a chunk beyond 64 bits": CHUNKED + b"fffffffffffffffff\r\n{}",
    "a chunk with 0x": CHUNKED + b"0x2\r\n{}\r\n0\r\n\r\n",
    "a chunk with a plus": CHUNKED + b"+2\r\n{}\r\n0\r\n\r\n",
    "a chunk with a minus": CHUNKED + b"-2\r\n{}\r\n0\r\n\r\n",
    "a chunk with a space": CHUNKED + b"2 \r\n{}\r\n0\r\n\r\n",
    "a chunk's line without CR": CHUNKED + b"2\n{}\r\n0\r\n\r\n",
    "a chunk's extension without CR": CHUNKED + b"2;a=b\n{}\r\n0\r\n\r\n",
    "a chunk that is longer than it says": CHUNKED + b"2\r\n{}}\r\n0\r\n\r\n",
    "a chunk that ends without CR": CHUNKED + b"2\r\n{}\n0\r\n\r\n",
    "an endless chunk size": CHUNKED + b"0" * 1_000_000,
    "an endless extension": CHUNKED + b"2;a=" + b"b" * 1_000_000,
    "a flood of extensions": CHUNKED + (b"1;a=" + b"b" * 1000 + b"\r\n \r\n") * 1000,
    "endless trailers": CHUNKED + b"2\r\n{}\r\n0\r\n" + b"X: y\r\n" * 200_000,
    "a length as a trailer": CHUNKED + b"2\r\n{}\r\n0\r\nContent-Length: 5\r\n\r\n",
    "a folded header": GET + b"X: a\r\n b\r\n\r\n",
    "a line that ends with LF only": GET + b"X: a\nY: b\r\n\r\n",
    "a head that ends with LF only": GET + b"\n",
    "LF everywhere": b"GET / HTTP/1.1\nHost: h\n\n",
    "CR in a value": GET + b"X: a\rb\r\n\r\n",
    "NUL in a value": GET + b"X: a\0b\r\n\r\n",
    "NUL in a name": GET + b"X\0: b\r\n\r\n",
    "a control character in a value": GET + b"X: a\x01b\r\n\r\n",
    "a space before the colon": GET + b"X : a\r\n\r\n",
    "a tab before the colon": GET + b"X\t: a\r\n\r\n",
    "a space before the first header": b"GET / HTTP/1.1\r\n Host: h\r\n\r\n",
    "a header without a name": GET + b": a\r\n\r\n",
    "HTTP/0.9 without a version": b"GET /\r\n\r\n",
    "HTTP/0.9": b"GET / HTTP/0.9\r\nHost: h\r\n\r\n",
    "HTTP/1.2": b"GET / HTTP/1.2\r\nHost: h\r\n\r\n",
    "HTTP/2.0": b"GET / HTTP/2.0\r\nHost: h\r\n\r\n",
    "http in small letters": b"GET / http/1.1\r\nHost: h\r\n\r\n",
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "a space in the target": b"GET /a b HTTP/1.1\r\nHost: h\r\n\r\n",
    "a space behind the version": b"GET / HTTP/1.1 \r\nHost: h\r\n\r\n",
    "a tab for a space": b"GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n",
    "a target of another host": b"GET http://evil/ HTTP/1.1\r\nHost: h\r\n\r\n",
    "a target with a user": b"GET http://h@evil/ HTTP/1.1\r\nHost: h\r\n\r\n",
    "a target of another scheme": b"GET ftp://h/ HTTP/1.1\r\nHost: h\r\n\r\n",
    "a target that is an authority": b"GET h:80 HTTP/1.1\r\nHost: h\r\n\r\n",
    "a target without a slash": b"GET jobs HTTP/1.1\r\nHost: h\r\n\r\n",
    "the target *": b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
    "connect": b"CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n",
    "two hosts that differ": b"GET / HTTP/1.1\r\nHost: h\r\nX: y\r\nHost: evil\r\n\r\n",
    "a host with a path": b"GET / HTTP/1.1\r\nHost: h/evil\r\n\r\n",
    "a host with a user": b"GET / HTTP/1.1\r\nHost: u@h\r\n\r\n",
    "a host with a space": b"GET / HTTP/1.1\r\nHost: h evil\r\n\r\n",
    "two hosts in one line": b"GET / HTTP/1.1\r\nHost: h, evil/\r\n\r\n",
    "a host with a port that is none": b"GET / HTTP/1.1\r\nHost: h:x\r\n\r\n",
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_request_is_400_and_what_follows_is_not_read(server: Server, name: str) -> None:
    before = server.get("/jobs/status")["data"]["waiting"]
    answers = answers_to(server, BAD[name] + GOOD)
    assert [answer.status for answer in answers] == [400], name
    assert answers[0].headers["connection"] == "close"
    assert answers[0].json["data"]
    assert server.get("/jobs/status")["data"]["waiting"] == before


@pytest.mark.parametrize("name", BAD)
def test_request_before_a_bad_one_is_answered_and_nothing_after_it(server: Server, name: str) -> None:
    before = server.get("/jobs/status")["data"]["waiting"]
    answers = answers_to(server, GOOD + BAD[name] + GOOD)
    assert answers[0].status == 200
    assert [answer.status for answer in answers[1:]] in ([], [400]), name
    assert server.get("/jobs/status")["data"]["waiting"] == before + 1


FINE = {
    "spaces behind a length": POST + b"Content-Length: %d  \r\n\r\n%b" % (len(BODY), BODY),
    "zeros before a length": POST + b"Content-Length: 00%d\r\n\r\n%b" % (len(BODY), BODY),
    "chunked in capitals": POST + b"Transfer-Encoding: CHUNKED\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY),
    "an extension": CHUNKED + b"%x;a=b\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY),
    "a trailer": CHUNKED + b"%x\r\n%b\r\n0\r\nX: y\r\n\r\n" % (len(BODY), BODY),
    "empty lines before": b"\r\n\r\n" + GOOD,
    "an absolute target": GOOD.replace(b"POST /", b"POST http://H/"),
    "HTTP/1.0 without a host": GOOD.replace(b"1.1\r\nHost: h\r\n", b"1.0\r\nConnection: keep-alive\r\n"),
    "a host of IPv6": GOOD.replace(b"Host: h", b"Host: [::1]:1337"),
    "an empty host": GOOD.replace(b"Host: h", b"Host:"),
}  # fmt: skip


@pytest.mark.parametrize("name", FINE)
def test_unusual_request_that_has_one_meaning_is_answered(server: Server, name: str) -> None:
    before = server.get("/jobs/status")["data"]["waiting"]
    answers = answers_to(server, FINE[name])
    assert [answer.status for answer in answers] == [200], answers
    assert server.get("/jobs/status")["data"]["waiting"] == before + 1


def test_trailers_do_not_pass_for_headers(server: Server) -> None:
    body = b"%x\r\n%b\r\n0\r\nIdempotency-Key: one\r\n\r\n" % (len(BODY), BODY)
    request = b"POST /v1/jobs HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + body
    first, second = answers_to(server, request + request)
    assert first.status == second.status == 201
    assert first.json["id"] != second.json["id"]


def test_nothing_is_read_behind_a_request_that_closes(server: Server) -> None:
    before = server.get("/jobs/status")["data"]["waiting"]
    closing = GOOD.replace(b"Host: h\r\n", b"Host: h\r\nConnection: close\r\n")
    assert [answer.status for answer in answers_to(server, closing + GOOD)] == [200]
    assert server.get("/jobs/status")["data"]["waiting"] == before + 1


def answers_to(server: Server, data: bytes) -> list[Answer]:
    """All answers until the server closes; a fine request that it keeps open for is followed by one that closes."""
    found: list[Answer] = []
    with connect(server.port) as channel:
        try:
            channel.sendall(data)
            channel.shutdown(1)
        except OSError:
            pass  # it has answered and closed before we were done
        rest = b""
        while piece := (rest or read_answer(channel)):
            answer = parse(piece)
            length = int(answer.headers["content-length"])
            found.append(parse(piece[: len(piece) - len(answer.body) + length]))
            rest = answer.body[length:]
    return found
