"""Every call of the PHP client against the real server."""

import base64
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.clients.broken_line import cut, line_to, lost, torn, whole
from tests.clients.conftest import Maker
from tests.clients.php import Php, Thrown
from tests.support.server import Server
from tests.support.target import Reply, Target
from tests.support.tools import needs
from tests.support.waiting import until

pytestmark = needs("php")

LATER = "'command' => ['type' => 'http', 'url' => 'http://127.0.0.1:9/'], 'delay' => 3600"
"""Members of a job that stays where it is."""


@contextmanager
def held(target: Target, path: str, *then: Reply) -> Iterator[str]:
    """A url whose first request is answered when the block has ended; `then` are the answers of those after it."""
    may_end = threading.Event()
    try:
        yield target.on(path, Reply(200, b"at last", hold=may_end), *then)
    finally:
        may_end.set()


def ids_of(php: Php, context: str) -> list[int]:
    return php("return array_column(iterator_to_array($queue->jobs(['context' => $in['c']])), 'id');", c=context)


# Adding


def test_add_gives_the_job_and_wait_its_end(php: Php, target: Target, path: str) -> None:
    url = target.on(path, Reply(201, b"made"))
    added, ended = php(
        """
        $job = $queue->addHttp($in['url'], json: ['a' => []], headers: ['X-A' => 'ü'], context: 'shop', priority: 7,
            tags: ['customer' => 'acme']);
        return [$job, $queue->wait($job['id'], 20)];
        """,
        url=url,
    )
    assert (added["context"], added["priority"], added["tags"]) == ("shop", 7, {"customer": "acme"})
    assert (ended["id"], ended["state"], ended["exit_code"]) == (added["id"], "completed", 201)
    (request,) = target.of(path)
    assert (request.method, request.body) == ("POST", b'{"a":[]}')
    assert php("return $queue->output($in['id']);", id=added["id"]) == "made"
    assert "HTTP/1.1 201" in php("return $queue->output($in['id'], 'head');", id=added["id"])


def test_empty_objects_are_taken(php: Php) -> None:
    state = php("""
        $command = ['type' => 'exec', 'cmd' => 'true', 'env' => []];
        $job = $queue->add(['command' => $command, 'tags' => [], 'retry' => [], 'callback_done' => $command]);
        return $queue->wait($job['id'], 20)['state'];
    """)
    assert state == "completed"


def test_numbers_and_text_arrive_exactly(php: Php, target: Target, path: str) -> None:
    text = "grüße 日本語 \U0001f409 \u2028 \x00 \"'\\"
    php(
        """
        $job = $queue->addHttp($in['url'], json: [$in['text'] => [9007199254740993, PHP_INT_MIN, 1.0, 0.1, null]]);
        $queue->wait($job['id'], 20);
        """,
        url=target.url + path,
        text=text,
    )
    (request,) = target.of(path)
    assert request.json == {text: [9007199254740993, -(2**63), 1.0, 0.1, None]}
    assert b"[9007199254740993,-9223372036854775808,1.0,0.1,null]" in request.body


def test_any_bytes_may_be_a_body(php: Php, target: Target, path: str) -> None:
    data = bytes(range(256))
    code = "$job = $queue->addHttp($in['url'], body: base64_decode($in['data'])); $queue->wait($job['id'], 20);"
    php(code, url=target.url + path, data=base64.b64encode(data).decode())
    assert target.of(path)[0].body == data


def test_a_key_stands_for_one_job(php: Php, server: Server, path: str) -> None:
    code = f"return $queue->add([{LATER}, 'context' => $in['c']], $in['key'])['id'];"
    first = php(code, c=path, key=f"a {path}")
    assert php(code, c=path, key=f"a {path}") == first
    assert php(code, c=path, key=f"ü {path}") > first
    with pytest.raises(Thrown) as thrown:
        php(code, c="another", key=f"a {path}")
    assert (thrown.value.kind, thrown.value.properties["status"]) == ("KeyMismatch", 422)


def test_a_key_of_a_deleted_job_makes_no_other(php: Php, path: str) -> None:
    code = f"$job = $queue->add([{LATER}], $in['key']); $queue->cancel($job['id']); $queue->delete($job['id']);"
    php(code, key=path)
    with pytest.raises(Thrown) as thrown:
        php(code, key=path)
    assert (thrown.value.kind, thrown.value.properties["status"]) == ("JobDeleted", 410)


@pytest.mark.parametrize("fate", [lost, torn, cut])
def test_a_connection_that_breaks_makes_no_second_job(make_php: Maker, server: Server, path: str, fate: Any) -> None:
    with line_to(server.port, fate, fate, whole) as line:
        job = make_php(line.url)(f"return $queue->add([{LATER}, 'context' => $in['c']]);", c=path)
    assert len(line.requests) == 3
    assert ids_of(make_php(server.url), path) == [job["id"]]


def test_a_connection_that_breaks_makes_no_second_batch(make_php: Maker, server: Server, path: str) -> None:
    with line_to(server.port, lost, torn, cut, whole) as line:
        code = f"return $queue->addMany(array_fill(0, 100, [{LATER}, 'context' => $in['c']]));"
        ids = make_php(line.url)(code, c=path)
    assert len(line.requests) == 4
    assert ids_of(make_php(server.url), path) == ids[::-1]
    assert len(ids) == 100


def test_a_thousand_jobs_are_added_in_one_request(make_php: Maker, server: Server, path: str) -> None:
    with line_to(server.port) as line:
        ids = make_php(line.url)(
            """
            return $queue->addMany((static function () use ($in) {
                for ($number = 0; $number < 1000; $number++) {
                    yield ['command' => ['type' => 'exec', 'args' => ['echo', "ü$number"]], 'delay' => 3600,
                        'context' => $in['c'], 'key' => "$number"];
                }
            })());
            """,
            c=path,
        )
    assert len(line.requests) == 1
    assert ids == sorted(ids)
    assert ids_of(make_php(server.url), path) == ids[::-1]
    assert server.job(ids[999])["command"]["args"] == ["echo", "ü999"]


def test_more_than_a_batch_goes_on_where_it_broke(make_php: Maker, server: Server, path: str) -> None:
    code = f"return $queue->addMany(array_fill(0, 10001, [{LATER}, 'context' => $in['c']]), $in['c']);"
    with line_to(server.port, whole, lost) as line, pytest.raises(Thrown, match="Unreachable"):
        make_php(line.url, retries=0)(code, c=path)
    ids = make_php(server.url)(code, c=path)
    assert len(ids) == 10_001
    assert ids_of(make_php(server.url), path) == ids[::-1]


def test_errors_have_pointers(php: Php) -> None:
    with pytest.raises(Thrown) as thrown:
        php("$queue->addHttp('gopher://x/', timeout: -1, priority: 5000, colour: 'red');")
    assert thrown.value.kind == "InvalidJob"
    assert thrown.value.properties["status"] == 400
    errors = thrown.value.properties["errors"]
    assert errors
    assert all(pointer.startswith("/") for pointer in errors)


def test_errors_in_a_batch_have_the_jobs_number(php: Php, path: str) -> None:
    code = f"$queue->addMany([[{LATER}, 'context' => $in['c']], ['command' => ['type' => 'http', 'url' => 'x']]]);"
    with pytest.raises(Thrown) as thrown:
        php(code, c=path)
    assert thrown.value.kind == "InvalidJob"
    assert list(thrown.value.properties["errors"]) == ["/1/command/url"]
    assert ids_of(php, path) == []


# Looking


@pytest.mark.parametrize("call", ["get", "wait", "attempts", "output", "explain", "cancel", "retry", "run", "delete"])
def test_a_job_that_is_not_there_is_not_found(php: Php, call: str) -> None:
    with pytest.raises(Thrown) as thrown:
        php(f"$queue->{call}(999999999);")
    assert (thrown.value.kind, thrown.value.properties["status"]) == ("NotFound", 404)


def test_waiting_ends_with_the_time(php: Php, target: Target, path: str) -> None:
    with held(target, path) as url, pytest.raises(Thrown) as thrown:
        php("$queue->wait($queue->addHttp($in['url'])['id'], 0.4);", url=url)
    assert thrown.value.kind == "TimedOut"
    assert thrown.value.properties["last"]["state"] in ("available", "running")


def test_waiting_takes_one_request(make_php: Maker, server: Server, target: Target, path: str) -> None:
    """Long polling: the server answers when the job has ended, and not before."""
    target.on(path, Reply(200, delay=0.5))
    job_id = server.add({"type": "http", "url": target.url + path})
    with line_to(server.port) as line:
        assert make_php(line.url)("return $queue->wait($in['id']);", id=job_id)["state"] == "completed"
    assert len(line.requests) == 1


def test_waiting_survives_a_restart(
    make_php: Maker, make_server: Callable[..., Server], target: Target, path: str
) -> None:
    server = make_server("--shutdown-grace", "0").start()
    with held(target, path, Reply(200)) as url:
        job_id = server.add({"type": "http", "url": url})
        target.wait(path)
        restart = threading.Thread(target=lambda: (server.kill(), server.start()))
        restart.start()
        ended = make_php(server.url, retries=9)("return $queue->wait($in['id'], 60);", id=job_id)
        restart.join()
    assert ended["state"] == "completed"


def test_jobs_are_listed_over_many_pages(php: Php, path: str) -> None:
    code = f"""
        $ids = $queue->addMany(array_fill(0, 450, [{LATER}, 'context' => $in['c'], 'tags' => ['a.b' => 'c&d']]));
        $found = $queue->jobs(['context' => $in['c'], 'state' => ['scheduled', 'running'], 'tags' => ['a.b' => 'c&d']],
            sort: 'id', limit: 420);
        return [$ids, array_column(iterator_to_array($found), 'id')];
    """
    ids, found = php(code, c=path)
    assert found == ids[:420]


def test_jobs_are_found_by_their_times(php: Php, path: str) -> None:
    code = f"""
        $job = $queue->add([{LATER}, 'context' => $in['c']]);
        $at = new DateTimeImmutable($job['created_at']);
        $count = static fn (array $filter): int => count($queue->page(['context' => $in['c']] + $filter)['items']);
        return [$count(['created_after' => $at]), $count(['created_before' => $at])];
    """
    assert php(code, c=path) == [1, 0]


def test_output_is_bytes(php: Php, server: Server) -> None:
    job_id = server.run({"type": "exec", "cmd": r"printf '\0\377a\0'; printf '\0b' >&2"})["id"]
    code = "return array_map('bin2hex', [$queue->output($in['id']), $queue->output($in['id'], 'stderr', 1)]);"
    assert php(code, id=job_id) == ["00ff6100", "0062"]


@pytest.mark.parametrize(
    ("arguments", "found"),
    [("from: 3", "3456789"), ("from: 3, to: 5", "345"), ("to: 5", "012345"), ("from: -4", "6789"), ("from: 99", "")],
)
def test_output_has_ranges(php: Php, server: Server, arguments: str, found: str) -> None:
    job_id = server.run({"type": "exec", "cmd": "printf 0123456789"})["id"]
    assert php(f"return $queue->output($in['id'], {arguments});", id=job_id) == found


def test_output_is_followed_while_it_runs(php: Php, server: Server) -> None:
    """The command ends only when what it has printed has been seen."""
    command = r"""printf 'one\0'; while [ ! -e "$GO" ]; do sleep 0.01; done; printf two"""
    go = str(server.folder / "go")
    pieces = php(
        """
        $job = $queue->addExec($in['cmd'], env: ['GO' => $in['go']]);
        $found = '';
        foreach ($queue->followOutput($job['id'], idle: 20) as $piece) {
            $found .= $piece;
            touch($in['go']);
        }
        return bin2hex($found);
        """,
        cmd=command,
        go=go,
    )
    assert bytes.fromhex(pieces) == b"one\0two"


def test_attempts_stats_and_explain_tell_about_a_job(php: Php) -> None:
    attempts, stats, explained = php("""
        $job = $queue->wait($queue->addExec('exit 3', retry: ['max_attempts' => 2, 'min_delay' => 0])['id'], 20);
        return [$queue->attempts($job['id']), $queue->stats(), $queue->explain($job['id'])];
    """)
    assert [(attempt["number"], attempt["outcome"], attempt["exit_code"]) for attempt in attempts] == [
        (1, "failed", 3),
        (2, "failed", 3),
    ]
    assert stats["jobs"]["failed"] >= 1
    assert explained["state"] == "failed"
    assert explained["sentence"]


# Changing


def test_a_waiting_job_is_changed(php: Php) -> None:
    changed = php(f"""
        $job = $queue->add([{LATER}, 'key' => 'a', 'tags' => ['x' => 'y']]);
        return $queue->update($job['id'], ['priority' => 900, 'key' => null, 'tags' => ['x' => null, '7' => 'z']]);
    """)
    assert (changed["priority"], changed["key"], changed["tags"]) == (900, None, {"7": "z"})


def test_a_waiting_job_is_cancelled_and_deleted(php: Php) -> None:
    code = f"""
        $id = $queue->add([{LATER}])['id'];
        $job = $queue->cancel($id, 'not needed');
        $queue->cancel($id);
        $queue->delete($id);
        try {{
            $queue->get($id);
        }} catch (QueueServer\\NotFound) {{
            return $job;
        }}
    """
    job = php(code)
    assert job["state"] == "cancelled"
    assert "not needed" in job["reason"]


def test_a_running_job_is_interrupted(php: Php, target: Target, path: str) -> None:
    with held(target, path) as url:
        job = php("return $queue->addHttp($in['url']);", url=url)
        target.wait(path)
        cancelled = php("return $queue->cancel($in['id'], wait: 20);", id=job["id"])
    assert cancelled["state"] == "cancelled"


def test_a_scheduled_job_runs_now(php: Php) -> None:
    code = "$id = $queue->addExec('true', delay: 3600)['id']; $queue->run($id); return $queue->wait($id, 20)['state'];"
    assert php(code) == "completed"


def test_a_final_job_runs_again_with_changes(php: Php) -> None:
    states = php("""
        $id = $queue->addExec('exit 3')['id'];
        $first = $queue->wait($id, 20)['state'];
        $queue->retry($id, ['command' => ['cmd' => 'true', 'env' => []]]);
        return [$first, $queue->wait($id, 20)['state']];
    """)
    assert states == ["failed", "completed"]


@pytest.mark.parametrize("call", ["update($id, ['priority' => 1])", "cancel($id)", "run($id)"])
def test_a_completed_job_is_in_conflict(php: Php, call: str) -> None:
    with pytest.raises(Thrown) as thrown:
        php(f"$id = $queue->addExec('true')['id']; $queue->wait($id, 20); $queue->{call};")
    assert (thrown.value.kind, thrown.value.properties["status"]) == ("Conflict", 409)


@pytest.mark.parametrize("call", ["retry($id)", "delete($id)"])
def test_a_waiting_job_is_in_conflict(php: Php, call: str) -> None:
    with pytest.raises(Thrown) as thrown:
        php(f"$id = $queue->add([{LATER}])['id']; $queue->{call};")
    assert (thrown.value.kind, thrown.value.properties["status"]) == ("Conflict", 409)


# Changing many


def test_many_jobs_are_cancelled_run_again_and_deleted(php: Php, path: str) -> None:
    dry, cancel, retry, states, delete, left = php(
        """
        $command = ['type' => 'exec', 'cmd' => 'true'];
        $ids = $queue->addMany(array_fill(0, 30, ['command' => $command, 'delay' => 3600, 'context' => $in['c']]));
        $ours = ['context' => $in['c']];
        $end = static fn (array $bulk): array => $queue->waitForOperation($bulk['operation']['id'], 20);
        $dry = $queue->cancelJobs($ours, dryRun: true);
        $cancel = $end($queue->cancelJobs($ours + ['ids' => array_slice($ids, 0, 20)], reason: 'no more'));
        $retry = $end($queue->retryJobs($ours + ['state' => ['cancelled', 'failed']], changes: ['delay' => null]));
        $states = array_map(static fn (int $id): string => $queue->wait($id, 20)['state'], array_slice($ids, 0, 20));
        $delete = $end($queue->deleteJobs($ours + ['state' => 'completed']));
        return [$dry, $cancel, $retry, $states, $delete, iterator_to_array($queue->jobs($ours))];
        """,
        c=path,
    )
    assert dry == {"matched": 30, "dry_run": True}
    assert (cancel["action"], cancel["state"], cancel["matched"], cancel["done"]) == ("cancel", "completed", 20, 20)
    assert (retry["action"], retry["state"], retry["done"]) == ("retry", "completed", 20)
    assert states == ["completed"] * 20
    assert (delete["action"], delete["state"], delete["done"]) == ("delete", "completed", 20)
    assert [job["state"] for job in left] == ["scheduled"] * 10


def test_an_operation_that_has_ended_or_is_not_there_says_so(php: Php) -> None:
    with pytest.raises(Thrown, match="NotFound"):
        php("$queue->operation(999999999);")


# Work that goes on past its request

CONTINUES = Reply(202, headers=[("X-Queue-Continue", "true")])


@pytest.fixture
def claim(server: Server, target: Target, path: str) -> dict[str, int]:
    """The job and the claim of a request that was answered with "I go on"."""
    job_id = server.add({"type": "http", "url": target.on(path, CONTINUES)})
    (request,) = target.wait(path)
    until(lambda: server.job(job_id)["heartbeat_until"], 15, "the answer's arrival")
    return {"id": job_id, "claim": int(request.header("X-Queue-Claim") or 0)}


def test_continued_work_is_completed(php: Php, claim: dict[str, int]) -> None:
    heartbeat, running, completed, output = php(
        """
        $heartbeat = $queue->heartbeat($in['id'], $in['claim'], 90.5, 'half of it');
        $running = $queue->get($in['id']);
        $completed = $queue->complete($in['id'], $in['claim'], 'ü', 7);
        return [$heartbeat, $running, $completed, $queue->output($in['id'])];
        """,
        **claim,
    )
    assert (heartbeat["job_id"], heartbeat["claim"]) == (claim["id"], claim["claim"])
    assert heartbeat["cancel_requested"] is False
    assert (running["state"], running["heartbeat_until"]) == ("running", heartbeat["heartbeat_until"])
    assert "half of it" in running["reason"]
    assert (completed["state"], completed["exit_code"], output) == ("completed", 7, "ü")


def test_continued_work_fails(php: Php, claim: dict[str, int]) -> None:
    job = php("return $queue->fail($in['id'], $in['claim'], 'no ink', 'out', 3, 1.5);", **claim)
    assert (job["state"], job["error"], job["exit_code"]) == ("failed", "no ink", 3)


@pytest.mark.parametrize(("call", "state"), [("complete", "completed"), ("fail", "failed")])
def test_a_connection_that_breaks_loses_no_result(
    make_php: Maker, server: Server, claim: dict[str, int], call: str, state: str
) -> None:
    with line_to(server.port, lost, whole) as line:
        job = make_php(line.url)(f"return $queue->{call}($in['id'], $in['claim']);", **claim)
    assert job["state"] == state


@pytest.mark.parametrize("call", ["heartbeat", "complete", "fail"])
def test_a_claim_that_is_over_is_in_conflict(php: Php, claim: dict[str, int], call: str) -> None:
    with pytest.raises(Thrown, match="Conflict"):
        php(f"$queue->complete($in['id'], $in['claim']); $queue->{call}($in['id'], $in['claim'] - 1);", **claim)


# Events


def test_the_events_of_a_job_end_with_it(php: Php) -> None:
    events = php("""
        $job = $queue->addExec('exit 3', delay: 0.2, retry: ['max_attempts' => 2, 'min_delay' => 0.1]);
        return iterator_to_array($queue->jobEvents($job['id']), false);
    """)
    assert events[0]["type"] == "job"
    assert events[-1]["type"] == "job.failed"
    assert events[-1]["data"]["exit_code"] == 3
    assert [event["type"] for event in events[1:]].count("job.started") == 2


def test_all_events_of_a_context_are_heard(php: Php, path: str) -> None:
    """An id that the server does not know is answered with `reset`: then it is listening, and jobs may come."""
    events = php(
        f"""
        $found = [];
        foreach ($queue->events(['context' => $in['c'], 'type' => ['job.added', 'job.cancelled']], 'none') as $event) {{
            $found[] = [$event['type'], $event['data']['context'] ?? null];
            match ($event['type']) {{
                'reset' => $queue->add([{LATER}]) && $queue->add([{LATER}, 'context' => $in['c']]),
                'job.added' => $queue->cancel($event['data']['job_id']),
                default => null,
            }};
            if ($event['type'] === 'job.cancelled') {{
                return $found;
            }}
        }}
        """,
        c=path,
    )
    assert events == [["reset", None], ["job.added", path], ["job.cancelled", path]]
