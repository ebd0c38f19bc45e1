"""What the PHP client sends for each call, and what it makes of the answer; the server is a stub."""

import base64
import json
import re

import pytest

from tests.clients.answers import answer, job
from tests.clients.conftest import Stub
from tests.clients.php import Thrown
from tests.support.target import Reply
from tests.support.tools import needs

pytestmark = needs("php")


def test_every_request_names_its_client_and_carries_the_token(stub: Stub) -> None:
    stub.on("/v1/stats", answer({"version": "1"}))
    assert stub("return $queue->stats();") == {"version": "1"}
    request = stub.one("/v1/stats")
    assert request.header("Authorization") == "Bearer secret"
    assert request.header("User-Agent").startswith("QueueServer-PHP/")
    assert request.header("Host") == f"127.0.0.1:{stub.port}"
    assert request.header("Content-Length") is None


def test_add_sends_the_job_with_a_key_of_its_own(stub: Stub) -> None:
    stub.on("/v1/jobs", answer(job(), 201))
    wanted = {"command": {"type": "http", "url": "http://x/ü"}, "priority": 800}
    assert stub("$queue->add($in['job']); return $queue->add($in['job']);", job=wanted)["id"] == 7
    first, second = stub.of("/v1/jobs")
    assert (first.method, first.json) == ("POST", wanted)
    keys = {first.header("Idempotency-Key"), second.header("Idempotency-Key")}
    assert len(keys) == 2
    assert all(re.fullmatch("[0-9a-f]{32}", key) for key in keys)


@pytest.mark.parametrize(
    ("code", "header", "member"),
    [
        ("$queue->add($job, 'order-17 b')", "order-17 b", None),
        ("$queue->add($job, 'Bestellung für Jürgen')", None, "Bestellung für Jürgen"),
        ("$queue->add($job, ' x ')", None, " x "),
        ("$queue->add($job + ['idempotency_key' => 'order-17'])", None, "order-17"),
        ("$queue->addHttp('http://x/', idempotency_key: 'order-17')", None, "order-17"),
    ],
)
def test_a_given_key_is_the_only_one(stub: Stub, code: str, header: str | None, member: str | None) -> None:
    stub.on("/v1/jobs", answer(job(), 201))
    stub(f"$job = ['command' => ['type' => 'http', 'url' => 'http://x/']]; {code};")
    request = stub.one("/v1/jobs")
    assert request.header("Idempotency-Key") == header
    assert request.json.get("idempotency_key") == member


def test_empty_arrays_are_objects_where_the_api_has_objects(stub: Stub) -> None:
    stub.on("/v1/jobs", answer(job(), 201))
    stub("""
        $command = ['type' => 'http', 'url' => 'http://x/', 'params' => [], 'headers' => [], 'env' => []];
        $queue->add(['command' => $command + ['json' => ['list' => [], 'object' => new stdClass()]],
            'callback_done' => $command, 'callback_failed' => $command, 'tags' => [], 'retry' => []]);
    """)
    command = '{"type":"http","url":"http://x/","params":{},"headers":{},"env":{}'
    assert stub.one("/v1/jobs").body.decode() == (
        f'{{"command":{command},"json":{{"list":[],"object":{{}}}}}},'
        f'"callback_done":{command}}},"callback_failed":{command}}},"tags":{{}},"retry":{{}}}}'
    )


def test_names_that_are_numbers_stay_names(stub: Stub) -> None:
    stub.on("/v1/jobs", answer(job(), 201))
    stub("$queue->addHttp('http://x/', params: ['0' => 'a', '1' => ['b', 'c']], tags: ['0' => 'z']);")
    sent = stub.one("/v1/jobs").json
    assert sent["command"]["params"] == {"0": "a", "1": ["b", "c"]}
    assert sent["tags"] == {"0": "z"}


def test_numbers_are_sent_exactly(stub: Stub) -> None:
    stub.on("/v1/jobs", answer(job(), 201))
    stub("$queue->addHttp('http://x/', json: [9007199254740993, PHP_INT_MAX, 1.0, 0.1, -0.0, 1e100]);")
    body = stub.one("/v1/jobs").body.decode()
    assert '"json":[9007199254740993,9223372036854775807,1.0,0.1,-0.0,1.0e+100]' in body


def test_big_numbers_are_read_exactly(stub: Stub) -> None:
    raw = b'{"id":9007199254740993,"command":{"json":[18446744073709551617,1.0,0.1]}}'
    stub.on("/v1/jobs/9007199254740993", Reply(200, raw))
    assert stub("return $queue->get(9007199254740993);") == {
        "id": 9007199254740993,
        "command": {"json": ["18446744073709551617", 1.0, 0.1]},
    }


def test_text_is_sent_as_it_is(stub: Stub) -> None:
    stub.on("/v1/jobs", answer(job(), 201))
    text = "grüße / 日本語 / \U0001f409 / \u2028 / \x00\x01"
    stub("$queue->addHttp('http://x/', json: [$in['text'] => $in['text']], context: $in['text']);", text=text)
    sent = stub.one("/v1/jobs").json
    assert sent["command"]["json"] == {text: text}
    assert sent["context"] == text


def test_text_that_is_not_utf8_is_refused_before_it_is_sent(stub: Stub) -> None:
    with pytest.raises(Thrown, match=r"UTF-8.*body_base64") as thrown:
        stub(r"""$queue->addHttp('http://x/', json: ['a' => "\xff"]);""")
    assert thrown.value.kind == "InvalidJob"
    assert stub.of("/v1/jobs") == []


def test_a_body_that_is_not_utf8_goes_as_base64(stub: Stub) -> None:
    stub.on("/v1/jobs", answer(job(), 201))
    stub(r"""$queue->addHttp('http://x/', body: "\xff\0"); $queue->addHttp('http://x/', body: "ü\0");""")
    first, second = (request.json["command"] for request in stub.of("/v1/jobs"))
    assert first == {"type": "http", "url": "http://x/", "body_base64": "/wA="}
    assert second == {"type": "http", "url": "http://x/", "body": "ü\0"}


def test_add_http_takes_each_option(stub: Stub) -> None:
    stub.on("/v1/jobs", answer(job(), 201))
    stub("""
        $queue->addHttp('http://x/', 'PUT', ['a' => 1], ['X-A' => 'b'], ['c' => false], timeout: 2.5, expect: '200-299',
            queue: 'mail', delay: 60, retry: ['max_attempts' => 5], callback_done: ['type' => 'http', 'url' => 'http://y/']);
    """)
    assert stub.one("/v1/jobs").json == {
        "command": {
            "type": "http",
            "url": "http://x/",
            "method": "PUT",
            "params": {"a": 1},
            "headers": {"X-A": "b"},
            "json": {"c": False},
            "timeout": 2.5,
            "expect": "200-299",
        },
        "queue": "mail",
        "delay": 60,
        "retry": {"max_attempts": 5},
        "callback_done": {"type": "http", "url": "http://y/"},
    }


def test_add_exec_takes_a_text_or_a_list(stub: Stub) -> None:
    stub.on("/v1/jobs", answer(job(), 201))
    stub("""
        $queue->addExec('echo $A', env: ['A' => 'b'], cwd: '/tmp', stdin: 'in', timeout: 5, expect: 0, priority: 1);
        $queue->addExec(array_filter(['printf', '', '%s', 'x y']));
    """)
    first, second = (request.json for request in stub.of("/v1/jobs"))
    command = {"cmd": "echo $A", "env": {"A": "b"}, "cwd": "/tmp", "stdin": "in", "timeout": 5, "expect": 0}
    assert first == {"command": {"type": "exec", **command}, "priority": 1}
    assert second == {"command": {"type": "exec", "args": ["printf", "%s", "x y"]}}


def test_add_named_sends_the_name_and_its_arguments(stub: Stub) -> None:
    stub.on("/v1/jobs", answer(job(), 201))
    stub("""
        $queue->addNamed('thumbnail', ['size' => '9x9', 'count' => 2, 'loud' => true], timeout: 5, priority: 1);
        $queue->addNamed('cleanup');
    """)
    first, second = (request.json for request in stub.of("/v1/jobs"))
    arguments = {"size": "9x9", "count": 2, "loud": True}
    assert first["command"] == {"type": "exec", "name": "thumbnail", "arguments": arguments, "timeout": 5}
    assert second == {"command": {"type": "exec", "name": "cleanup"}}


def test_an_option_without_a_name_is_an_error(stub: Stub) -> None:
    with pytest.raises(Thrown, match="named arguments"):
        stub("$queue->addHttp('http://x/', null, [], [], null, null, null, null, 800);")


def test_times_may_be_objects(stub: Stub) -> None:
    stub.on("/v1/jobs", answer(job(), 201))
    stub("$queue->addHttp('http://x/', run_at: new DateTime('2026-11-24 10:30:00.25 +01:00'));")
    assert stub.one("/v1/jobs").json["run_at"] == "2026-11-24T09:30:00.250000Z"


def test_add_many_sends_one_batch_with_a_key(stub: Stub) -> None:
    stub.on("/v1/jobs/batch", answer({"ids": [4, 5], "count": 2, "replayed": 0}, 201))
    code = "return $queue->addMany((static function () { yield ['tags' => []]; yield ['key' => 'b']; })(), 'all');"
    assert stub(code) == [4, 5]
    request = stub.one("/v1/jobs/batch")
    assert request.body == b'[{"tags":{}},{"key":"b"}]'
    assert request.header("Idempotency-Key") == "all"


def test_add_many_of_nothing_asks_nothing(stub: Stub) -> None:
    assert stub("return $queue->addMany([]);") == []
    assert stub.of("/v1/jobs/batch") == []


def test_add_many_sends_more_than_a_batch_in_parts_with_keys_of_their_own(stub: Stub) -> None:
    parts = [{"ids": list(range(10_000))}, {"ids": list(range(10_000, 20_000))}, {"ids": [20_000]}]
    stub.on("/v1/jobs/batch", *(answer(part, 201) for part in parts))
    code = "return $queue->addMany(array_fill(0, 20001, ['command' => ['cmd' => 'x']]), 'all');"
    assert stub(code) == list(range(20_001))
    requests = stub.of("/v1/jobs/batch")
    assert [len(request.json) for request in requests] == [10_000, 10_000, 1]
    assert [request.header("Idempotency-Key") for request in requests] == ["all", "all.1", "all.2"]


def test_jobs_goes_through_all_pages_also_empty_ones(stub: Stub) -> None:
    pages = [
        {"items": [job(5), job(4)], "next_cursor": "a&b"},
        {"items": [], "next_cursor": "c"},
        {"items": [job(1)], "next_cursor": None},
    ]
    stub.on("/v1/jobs", *(answer(page) for page in pages))
    code = "return array_column(iterator_to_array($queue->jobs(['state' => 'failed'])), 'id');"
    assert stub(code) == [5, 4, 1]
    queries = [dict(request.query) for request in stub.of("/v1/jobs")]
    assert queries == [
        {"state": "failed", "limit": "200"},
        {"state": "failed", "limit": "200", "cursor": "a&b"},
        {"state": "failed", "limit": "200", "cursor": "c"},
    ]


def test_jobs_stops_at_the_limit_without_asking_for_more(stub: Stub) -> None:
    pages = [
        {"items": [job(5), job(4)], "next_cursor": "a"},
        {"items": [job(3)], "next_cursor": "b"},
    ]
    stub.on("/v1/jobs", *(answer(page) for page in pages))
    code = "return array_column(iterator_to_array($queue->jobs(sort: 'id', limit: 3), false), 'id');"
    assert stub(code) == [5, 4, 3]
    first, second = (request.query for request in stub.of("/v1/jobs"))
    assert first == [("sort", "id"), ("limit", "3")]
    assert second == [("sort", "id"), ("limit", "1"), ("cursor", "a")]


def test_a_filter_becomes_a_query(stub: Stub) -> None:
    stub.on("/v1/jobs", answer({"items": [], "next_cursor": None}))
    stub("""
        $queue->page(['state' => ['failed', 'cancelled'], 'tags' => ['customer' => 'ä&b', '7' => ''], 'parent_id' => 3,
            'key' => null, 'created_after' => new DateTimeImmutable('2026-11-24T09:30:00Z')], limit: 10);
    """)
    assert stub.one("/v1/jobs").query == [
        ("state", "failed,cancelled"),
        ("parent_id", "3"),
        ("created_after", "2026-11-24T09:30:00.000000Z"),
        ("limit", "10"),
        ("tag.customer", "ä&b"),
        ("tag.7", ""),
    ]


def test_a_limit_in_a_filter_is_an_error(stub: Stub) -> None:
    with pytest.raises(Thrown, match="limit and cursor are arguments"):
        stub("foreach ($queue->jobs(['limit' => 3]) as $job) { }")


@pytest.mark.parametrize(
    ("code", "method", "suffix", "body"),
    [
        ("get(7)", "GET", "", None),
        ("update(7, ['priority' => 1, 'key' => null, 'tags' => []])", "PATCH", "",
         {"priority": 1, "key": None, "tags": {}}),
        ("cancel(7)", "POST", "/cancel", None),
        ("cancel(7, 'why not')", "POST", "/cancel", {"reason": "why not"}),
        ("retry(7)", "POST", "/retry", None),
        ("retry(7, ['command' => ['params' => []]])", "POST", "/retry", {"command": {"params": {}}}),
        ("run(7)", "POST", "/run", None),
        ("complete(7, 3)", "POST", "/attempts/3/complete", {}),
        ("complete(7, 3, 'done', 0)", "POST", "/attempts/3/complete", {"output": "done", "exit_code": 0}),
        ("fail(7, 3)", "POST", "/attempts/3/fail", {}),
        ("fail(7, 3, 'no', 'out', 1, 2.5)", "POST", "/attempts/3/fail",
         {"error": "no", "output": "out", "exit_code": 1, "retry_after": 2.5}),
        ("heartbeat(7, 3)", "POST", "/attempts/3/heartbeat", {}),
        ("heartbeat(7, 3, 90, '1 of 2')", "POST", "/attempts/3/heartbeat", {"timeout": 90, "message": "1 of 2"}),
        ("explain(7)", "GET", "/explain", None),
    ],
)  # fmt: skip
def test_a_call_on_one_job_is_one_request(stub: Stub, code: str, method: str, suffix: str, body: object) -> None:
    stub.on(f"/v1/jobs/7{suffix}", answer(job(note="as it came")))
    assert stub(f"return $queue->{code};") == job(note="as it came")
    request = stub.one(f"/v1/jobs/7{suffix}")
    assert request.method == method
    assert (json.loads(request.body) if request.body else None) == body


def test_a_patch_is_a_merge_patch(stub: Stub) -> None:
    stub.on("/v1/jobs/7", answer(job()))
    stub("$queue->update(7, []);")
    request = stub.one("/v1/jobs/7")
    assert (request.header("Content-Type"), request.body) == ("application/merge-patch+json", b"{}")


def test_delete_returns_nothing(stub: Stub) -> None:
    stub.on("/v1/jobs/7", Reply(204, b""))
    assert stub("$queue->delete(7);") is None
    assert stub.one("/v1/jobs/7").method == "DELETE"


def test_attempts_are_a_list(stub: Stub) -> None:
    stub.on("/v1/jobs/7/attempts", answer({"items": [{"number": 1}]}))
    assert stub("return $queue->attempts(7);") == [{"number": 1}]


@pytest.mark.parametrize(
    ("code", "action", "body"),
    [
        ("cancelJobs(['state' => 'available'], reason: 'r')", "cancel",
         {"filter": {"state": "available"}, "dry_run": False, "reason": "r"}),
        ("cancelJobs([], dryRun: true)", "cancel", {"filter": {}, "dry_run": True}),
        ("retryJobs(['tags' => ['a' => 'b'], 'state' => ['failed']], changes: ['priority' => 1])", "retry",
         {"filter": {"tags": {"a": "b"}, "state": ["failed"]}, "dry_run": False, "changes": {"priority": 1}}),
        ("retryJobs(['ids' => [1, 2]])", "retry", {"filter": {"ids": [1, 2]}, "dry_run": False}),
        ("deleteJobs(['ended_before' => new DateTime('2026-01-01 UTC'), 'tags' => []])", "delete",
         {"filter": {"ended_before": "2026-01-01T00:00:00.000000Z", "tags": {}}, "dry_run": False}),
    ],
)  # fmt: skip
def test_a_call_on_many_jobs_is_one_request(stub: Stub, code: str, action: str, body: object) -> None:
    reply = {"matched": 12, "dry_run": False, "operation": {"id": 3}}
    stub.on(f"/v1/jobs:{action}", answer(reply, 202))
    assert stub(f"return $queue->{code};") == reply
    assert stub.one(f"/v1/jobs:{action}").json == body


def test_wait_asks_again_until_the_job_is_final(stub: Stub) -> None:
    stub.on("/v1/jobs/7", *(answer(job(state=state)) for state in ("available", "running", "completed")))
    assert stub("return $queue->wait(7);")["state"] == "completed"
    assert [request.query for request in stub.of("/v1/jobs/7")] == [[("wait", "30")]] * 3


def test_wait_gives_up_after_its_time_with_the_job_as_it_is(stub: Stub) -> None:
    stub.on("/v1/jobs/7", answer(job(state="running")))
    with pytest.raises(Thrown, match=r"Job 7 is not at its end after 0\.3 s") as thrown:
        stub("$queue->wait(7, 0.3);")
    assert thrown.value.kind == "TimedOut"
    assert thrown.value.properties["last"] == job(state="running")
    first, *more = [float(dict(request.query)["wait"]) for request in stub.of("/v1/jobs/7")]
    assert 0.25 <= first <= 0.3
    assert 1 <= len(more) < 6, "a server that does not wait is not flooded"


def test_wait_gives_the_server_the_time_it_waits(stub: Stub) -> None:
    stub.on("/v1/jobs/7", Reply(200, b'{"state":"failed"}', delay=0.6))
    assert stub.php(timeout=0.4)("return $queue->wait(7, 1);") == {"state": "failed"}


def test_cancel_may_wait(stub: Stub) -> None:
    stub.on("/v1/jobs/7/cancel", Reply(200, b'{"state":"cancelled"}', delay=0.6))
    assert stub.php(timeout=0.4)("return $queue->cancel(7, wait: 2.5);") == {"state": "cancelled"}
    assert stub.one("/v1/jobs/7/cancel").query == [("wait", "2.5")]


def test_operations_are_waited_for(stub: Stub) -> None:
    stub.on("/v1/operations/3", *(answer({"id": 3, "state": state}) for state in ("running", "failed")))
    stub.on("/v1/operations/3/cancel", answer({"id": 3, "state": "cancelled"}))
    assert stub("return $queue->operation(3);")["state"] == "running"
    assert stub("return $queue->waitForOperation(3, 5);")["state"] == "failed"
    assert stub("return $queue->cancelOperation(3);")["state"] == "cancelled"


def test_output_names_stream_and_attempt(stub: Stub) -> None:
    body = bytes(range(256))
    stub.on("/v1/jobs/7/output", Reply(200, body))
    assert stub("return bin2hex($queue->output(7, 'stderr', 2));") == body.hex()
    assert stub.one("/v1/jobs/7/output").query == [("stream", "stderr"), ("attempt", "2")]


@pytest.mark.parametrize(
    ("arguments", "header"),
    [("from: 3", "bytes=3-"), ("from: 3, to: 5", "bytes=3-5"), ("to: 5", "bytes=0-5"), ("from: -4", "bytes=-4")],
)
def test_output_asks_for_a_range(stub: Stub, arguments: str, header: str) -> None:
    stub.on("/v1/jobs/7/output", Reply(206, b"abc"))
    assert stub(f"return $queue->output(7, {arguments});") == "abc"
    assert stub.one("/v1/jobs/7/output").header("Range") == header


@pytest.mark.parametrize(
    ("arguments", "found"),
    [("from: 3", "3456789"), ("from: 3, to: 5", "345"), ("to: 5", "012345"), ("from: -4", "6789"), ("from: 99", "")],
)
def test_output_takes_the_range_itself_from_a_whole_answer(stub: Stub, arguments: str, found: str) -> None:
    stub.on("/v1/jobs/7/output", Reply(200, b"0123456789"))
    assert stub(f"return $queue->output(7, {arguments});") == found


def test_output_beyond_the_end_is_nothing(stub: Stub) -> None:
    stub.on("/v1/jobs/7/output", Reply(416, b""))
    assert stub("return $queue->output(7, from: 5);") == ""


def test_output_of_no_bytes_at_all_is_an_error(stub: Stub) -> None:
    with pytest.raises(Thrown, match="no bytes 5 to 4"):
        stub("$queue->output(7, from: 5, to: 4);")


def test_follow_output_gives_pieces_as_they_come(stub: Stub) -> None:
    pieces = [b"a\0b", b"\r\n", b"x" * 200_000]
    stub.on("/v1/jobs/7/output", Reply(200, pieces=lambda: iter(pieces), is_chunked=True))
    code = (
        "$found = ''; foreach ($queue->followOutput(7) as $piece) { $found .= $piece; } return base64_encode($found);"
    )
    assert base64.b64decode(stub(code)) == b"".join(pieces)
    assert stub.one("/v1/jobs/7/output").query == [("stream", "output"), ("follow", "1")]


@pytest.mark.parametrize("is_chunked", [True, False])
def test_answers_are_read_however_they_are_sent(stub: Stub, is_chunked: bool) -> None:
    def pieces() -> list[bytes]:
        return [b'{"ver', b'sion":', b'"' + b"1" * 100_000 + b'"}']

    reply = Reply(200, pieces=lambda: iter(pieces()), is_chunked=is_chunked, close=True)
    stub.on("/v1/stats", reply)
    assert stub("return $queue->stats();") == {"version": "1" * 100_000}


def test_an_interim_answer_is_passed_over(stub: Stub) -> None:
    raw = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
    stub.on("/v1/stats", Reply(raw=raw))
    assert stub("return $queue->stats();") == []
