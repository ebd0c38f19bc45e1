"""A batch gives the same jobs, and the same errors, in both forms and wherever the pieces of its body end."""

import json
import re
from collections.abc import Iterable, Sequence
from itertools import pairwise

import msgspec
import pytest
from hypothesis import strategies as st

from queue_server.domain import batch
from queue_server.domain.batch import BLOCK, JOBS_LIMIT, PATIENCE, BatchReader, BatchTooLarge
from queue_server.domain.errors import PROBLEMS_LIMIT, InvalidJob, Problem
from queue_server.domain.job import JobRequest
from tests.builders.properties import for_all
from tests.builders.strategies import anything, valid_requests

MIB = 1024 * 1024
URL = "http://example.com/"
decode_all = msgspec.json.Decoder(list[JobRequest]).decode


def read(pieces: Iterable[bytes], job_limit: int = MIB) -> Sequence[JobRequest]:
    """The jobs of a body that arrives in these pieces."""
    reader, found = BatchReader(job_limit), list[JobRequest]()
    for piece in pieces:
        reader.feed(piece)
        for jobs in reader.read():
            found += jobs
    reader.finish()
    for jobs in reader.read():
        found += jobs
    reader.check()
    assert len(found) == reader.count
    return found


def result(pieces: Iterable[bytes], job_limit: int = MIB) -> object:
    """The jobs, or what is wrong, in a form that can be compared."""
    try:
        return msgspec.json.encode(read(pieces, job_limit))
    except InvalidJob as error:
        return error.problems
    except BatchTooLarge as error:
        return str(error)


def problems(body: bytes, job_limit: int = MIB) -> Sequence[Problem]:
    with pytest.raises(InvalidJob) as raised:
        read([body], job_limit)
    assert (raised.value.problems) == result(cut(body, 1), job_limit), "byte by byte it is the same"
    return raised.value.problems


def cut(body: bytes, size: int) -> list[bytes]:
    return [body[at : at + size] for at in range(0, len(body), size)]


def cut_at(body: bytes, places: Iterable[int]) -> list[bytes]:
    edges = [0, *sorted(place for place in set(places) if place < len(body)), len(body)]
    return [body[begin:end] for begin, end in pairwise(edges)]


def job(number: int = 0, **members: object) -> dict[str, object]:
    return {"command": {"type": "http", "url": f"{URL}{number}"}} | members


def array(jobs: Iterable[object], separators: tuple[str, str] = (",", ":")) -> bytes:
    return json.dumps([*jobs], separators=separators, ensure_ascii=False).encode()


def lines(jobs: Iterable[object]) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in jobs)


TRICKY = [
    job(0, context='[{"command":{},},{"command":'),
    job(1, context='"],[{'),
    job(2, context="\\"),
    job(3, context='\\"},{"command":{"type":"http","url":"http://h/"}},{"command":'),
    job(4, context="ä€😀"),
    {"command": {"type": "http", "url": URL, "json": [{"command": 1}, {"command": [{"command": "]"}]}]}},
    {"command": {"type": "http", "url": URL, "method": "GET", "params": {"a": [1, {"}": "{"}], "b": "],["}}},
    {"priority": 1, "command": {"type": "exec", "args": ["[", "]", ",", '"', "\\", "a\nb"]}},
    job(8, tags={"a": "1", "b": "]"}, retry={"max_attempts": 2}, callback_done={"type": "http", "url": URL}),
]


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": "), (" \r\n\t, \n", " : ")])
@pytest.mark.parametrize("job_limit", [400, MIB])
def test_array_gives_the_same_jobs_wherever_it_is_cut(separators, job_limit):
    body = array(TRICKY * 2, separators)
    wanted = msgspec.json.encode(decode_all(body))
    for place in range(len(body)):
        assert result([body[:place], body[place:]], job_limit) == wanted
    for size in (1, 2, 3, 7, 100, 399, 401):
        assert result(cut(body, size), job_limit) == wanted


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b" \n\n \r\n"])
@pytest.mark.parametrize("job_limit", [400, MIB])
def test_lines_give_the_same_jobs_wherever_they_are_cut(end, job_limit):
    body = b"\n" + lines(TRICKY) + lines(TRICKY).replace(b"\n", b"\r\n").rstrip() + end
    wanted = msgspec.json.encode(decode_all(json.dumps(TRICKY * 2)))
    for place in range(len(body)):
        assert result([body[:place], body[place:]], job_limit) == wanted
    for size in (1, 2, 3, 7, 100, 399, 401):
        assert result(cut(body, size), job_limit) == wanted


@for_all(
    st.lists(valid_requests, min_size=1, max_size=12),
    st.lists(st.integers(0, 4000), max_size=8),
    st.sampled_from([None, 0, 3]),
    st.booleans(),
    st.sampled_from([20, 300, BLOCK]),
)
def test_any_batch_gives_the_jobs_that_decoding_at_once_gives(jobs, cuts, indent, is_ascii, block):
    body = json.dumps(jobs, indent=indent, ensure_ascii=is_ascii).encode()
    in_lines = b"\n".join(json.dumps(one, ensure_ascii=is_ascii).encode() for one in jobs)
    wanted = {body: decode_all(body), in_lines: decode_all(json.dumps(jobs, ensure_ascii=is_ascii))}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch, "BLOCK", block)
        patch.setattr(batch, "PATIENCE", 4 * block)
        for text, decoded in wanted.items():
            assert result(cut_at(text, cuts)) == result([text]) == msgspec.json.encode(decoded)


tokens = st.lists(
    st.sampled_from(
        [b"[", b"]", b"{", b"}", b",", b":", b'"', b"\\", b"\n", b" ", b"1", b"null", b'"a"', b"\xff", b"\xef\xbb\xbf"]
        + [json.dumps(one).encode() for one in (job(), job(1, context="]"), {"command": 1}, {}, job(priority=-1))]
        + [b',{"command":', b"-", b"1.", b"\\u12", b"\0", b'"\\ud800"']
    ),
    max_size=12,
)


@for_all(
    st.sampled_from([b"[", b"[" + array([job()])[1:-1] + b",", b"", b"\n ", lines([job()])]),
    tokens | st.lists(anything.map(lambda value: json.dumps(value).encode() + b","), max_size=4),
    st.sampled_from([b"", b"]", b"\n"]),
    st.lists(st.integers(0, 300), max_size=6),
    st.sampled_from([10, BLOCK]),
)
def test_what_is_wrong_is_told_alike_wherever_the_body_is_cut(begin, middle, end, cuts, block):
    body = begin + b"".join(middle) + end
    whole = result([body])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch, "BLOCK", block)
        assert result(cut_at(body, cuts)) == result(cut(body, 1)) == whole


def test_larger_batches_than_a_block_are_read_in_both_forms():
    jobs = [job(number, context="x" * (number % 200)) for number in range(3000)]
    jobs[1500] = job(1500, command={"type": "http", "url": URL, "body": "y" * (BLOCK + 10)})
    jobs[1501] = job(1501, command={"type": "http", "url": URL, "body": "},{" * PATIENCE})
    for body in (array(jobs), array(jobs, (", ", ": ")), lines(jobs)):
        wanted = msgspec.json.encode(decode_all(array(jobs)))
        for size in (1000, 65536, len(body)):
            assert result(cut(body, size)) == wanted


def test_jobs_that_begin_unlike_each_other_are_read_too():
    jobs = [({"priority": 1} | job(number)) if number % 7 else job(number) for number in range(5000)]
    jobs[0] = {"context": "first"} | job(0)
    body = array(jobs)
    assert result(cut(body, 65536)) == msgspec.json.encode(decode_all(body))


def test_byte_order_mark_is_passed_over():
    for body in (array([job()]), lines([job()])):
        for pieces in ([b"\xef\xbb\xbf" + body], [b"\xef", b"\xbb", b"\xbf", body], [b"\xef\xbb\xbf \n", body]):
            assert len(read(pieces)) == 1


def test_only_unfinished_jobs_are_kept():
    reader = BatchReader(MIB)
    for number in range(2000):
        reader.feed((b"," if number else b"[") + json.dumps(job(number, context="x" * 200)).encode())
        list(reader.read())
        assert len(reader._data) < PATIENCE


@pytest.mark.parametrize(
    ("body", "path", "words"),
    [
        (b"", "", "the batch is empty"),
        (b" \n\t", "", "the batch is empty"),
        (b"[]", "", "the batch is empty"),
        (b" [ \n] ", "", "the batch is empty"),
        (b"\xef\xbb\xbf", "", "the batch is empty"),
        (b"null", "", "is no batch; send a JSON array"),
        (b"command=x", "", "is no batch"),
        (b"\0" * 100, "", "is no batch"),
        (array([job()]).decode().encode("utf-16"), "", "is no batch"),
        (b"[", "/0", "ends too early: the closing ] is missing"),
        (array([job()])[:-1], "/0", "ends too early: the closing ] is missing"),
        (array([job()])[:-3], "/0", "ends too early"),
        (array([job()])[:-1] + b",", "/1", "ends too early"),
        (array([job()])[:-1] + b",]", "/1", "a comma too many"),
        (b"[,]", "/0", "a comma too many"),
        (b"[,,", "/0", "a comma too many"),
        (array([job()]) + b"x", "", "has something behind the closing ]"),
        (array([job()]) * 2, "", "has something behind the closing ]"),
        (b"[1]", "/0", "must be a JSON object"),
        (b"[null,1,[]]", "/0", "must be a JSON object"),
        (b"[[]]", "/0", "must be a JSON object"),
        (b"[{}]", "/0/command", "is required"),
        (b"{}", "/0/command", "is required (line 1)"),
        (b'[{"command":1]', "/0", "ends too early"),
        (b'[{"command":}]', "/0", "is not JSON"),
        (b"[{1}]", "/0", "is not JSON"),
        (b"[" * 200_000, "/0", "ends too early"),
        (b'[{"command":' + b"[" * 50_000 + b"]" * 50_000 + b"}]", "/0", "the JSON is nested too deeply"),
        (b'[{"context":"\xff"}]', "/0", "is not valid UTF-8"),
        (b'[{"context":"\\ud800"}]', "/0", "half a surrogate pair"),
        (b'[{"context":"a\0b"}]', "/0", "is not JSON"),
        (b'{"command":', "/0", "ends too early (line 1)"),
        (b'\n\n{"command":\n', "/0", "ends too early (line 3)"),
        (lines([job()]) + b"]", "/1", "is not JSON"),
        (json.dumps(job(), indent=1).encode(), "/0", "ends too early (line 1)"),
    ],
)
def test_body_that_is_no_batch_is_told_so(body, path, words):
    first = problems(body)[0] if len(body) < 1000 else result([body])[0]
    assert first.path == path
    assert words in first.message


def test_each_bad_job_is_named_with_its_place():
    jobs = [job(number) for number in range(400)]
    jobs[12] = {"command": {"type": "http", "url": "nowhere"}}
    jobs[200] = {"command": {"type": "http", "url": URL}, "priority": 5000, "extra": 1}
    jobs[399] = {"command": {"type": "ftp"}}
    paths = ["/12/command/url", "/200/extra", "/200/priority", "/399/command/type"]
    assert [problem.path for problem in problems(array(jobs))] == paths
    found = problems(b"\n" + lines(jobs).replace(b"\n", b"\n\n"))
    assert [problem.path for problem in found] == paths
    assert [re.sub(r".*\(line (\d+)\)$", r"\1", problem.message) for problem in found] == ["26", "402", "402", "800"]


def test_problems_are_listed_up_to_a_limit_and_the_others_counted():
    found = problems(array([{}] * 500))
    assert [problem.path for problem in found[:-1]] == [f"/{place}/command" for place in range(PROBLEMS_LIMIT)]
    assert found[-1] == Problem("", "400 more problems are not listed")


def test_reader_knows_that_something_is_wrong_while_it_reads():
    reader = BatchReader(MIB)
    reader.feed(b'[{"command":1},')
    list(reader.read())
    reader.finish()
    list(reader.read())
    assert reader.is_bad


@pytest.mark.parametrize("form", [array, lines])
def test_batch_of_the_most_jobs_is_taken_and_one_more_is_too_large(form):
    jobs = [job(number) for number in range(JOBS_LIMIT)]
    assert len(read(cut(form(jobs), 65536))) == JOBS_LIMIT
    for body in (form([*jobs, job()]), form([{}] * (JOBS_LIMIT + 1))):
        assert f"more than {JOBS_LIMIT} jobs" in str(result(cut(body, 65536)))


@pytest.mark.parametrize("form", [lambda jobs: array(jobs, (", ", ": ")), lines])
@pytest.mark.parametrize("size", [1000, 65536, 3 * MIB])
def test_job_of_the_most_bytes_is_taken_and_a_larger_one_is_too_large(form, size):
    def body(length: int) -> bytes:
        bare = len(json.dumps(job(1, context="")))
        return form([job(), job(1, context="x" * (length - bare)), job()])

    assert "must be a text of at most 255 characters" in str(result(cut(body(MIB), size)))
    for length in (MIB + 1, MIB + BLOCK + 1, 2 * MIB):
        assert result(cut(body(length), size)) == f"job 1 of the batch is larger than {MIB} bytes (setting max_body)"


@pytest.mark.parametrize("begin", [b'[{"context":"', b"[", b"[[", b"{", b"[\n", b"", b"[{},"])
def test_job_without_end_is_too_large_before_it_has_arrived(begin):
    reader = BatchReader(MIB)
    filler = b"x" if begin.endswith(b'"') else b"[" if begin.endswith(b"[") else b" "
    reader.feed(begin)

    def feed_on() -> None:
        for _ in range(100):
            reader.feed(filler * MIB)
            list(reader.read())

    with pytest.raises(BatchTooLarge):
        feed_on()
    assert len(reader._data) < 3 * MIB


def test_small_jobs_are_read_under_a_small_limit():
    jobs = [job(number) for number in range(200)]
    assert len(read(cut(array(jobs), 100), 200)) == 200
    assert len(read([lines(jobs)], 200)) == 200
    assert result([array([*jobs, job(context="x" * 200)])], 200) == (
        "job 200 of the batch is larger than 200 bytes (setting max_body)"
    )
