"""What a token may do with jobs: add those of its own context and queue, and change those that it sees, within them."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest

from queue_server.config.settings import Settings
from queue_server.domain.access import EVERYBODY, Access, Right
from queue_server.domain.errors import InvalidJob, KeyMismatch, NotAllowed, StoreUnavailable
from queue_server.domain.job import JobRequest, decode_plan
from queue_server.domain.outcome import SUCCEEDED, Outcome, OutcomeKind
from queue_server.domain.reading import read_request
from queue_server.domain.revising import NO_PATCH, Patch, read_patch
from queue_server.domain.state import State
from queue_server.operations.many import rule_of
from queue_server.store.contract import JobFilter, OperationState, Step
from tests.builders.access import access
from tests.builders.jobs import EXEC, HTTP, NOW, SECOND, new_job
from tests.builders.parts import Parts
from tests.builders.stores import add_and_continue, add_and_end, claim, claim_all

SHOP = access(contexts=["shop"])
MAIL = access(name="mailer", queues=["mail"], token_id=8)
ADDING = access(Right.ADD, Right.MANAGE)
"""May add and change jobs, but no commands of type exec."""

HTTP_JSON = {"type": "http", "url": "http://example.com/work"}
EXEC_JSON = {"type": "exec", "cmd": "/bin/true"}


@pytest.fixture
def parts(store, runner) -> Parts:
    async def make() -> Parts:
        return Parts(store)

    return runner.run(make())


@pytest.fixture
def node(store, runner):
    return runner.run(store.register("here", 100, NOW))


def request(command: Any = HTTP_JSON, **members: Any) -> JobRequest:
    return read_request(json.dumps({"command": command, **members}).encode())


def patch(**members: Any) -> Patch:
    return read_patch(json.dumps(members).encode())


@contextmanager
def refused(path: str, *words: str) -> Iterator[None]:
    """Expects a NotAllowed for this member, whose sentence has the words."""
    with pytest.raises(NotAllowed) as caught:
        yield
    assert caught.value.path == path
    assert all(word in str(caught.value) for word in words), str(caught.value)


# Adding.


@pytest.mark.parametrize(
    ("who", "members", "context", "queue"),
    [
        (EVERYBODY, {}, "default", "default"),
        (access(), {"context": "a"}, "a", "default"),
        (SHOP, {}, "shop", "default"),
        (SHOP, {"queue": "any"}, "shop", "any"),
        (SHOP, {"context": "shop"}, "shop", "default"),
        (MAIL, {}, "default", "mail"),
        (access(contexts=["shop"], queues=["mail"]), {}, "shop", "mail"),
        (access(contexts=["shop", "b"]), {"context": "b"}, "b", "default"),
        (access(contexts=["shop", "default"]), {}, "default", "default"),
    ],
)
async def test_job_gets_what_its_token_is_bound_to(parts, who, members, context, queue):
    for added in (await parts.add(request(**members), who), await in_a_batch(parts, who, request(**members))):
        job = await parts.store.get(added if isinstance(added, int) else added.id)
        assert (job.context, job.queue) == (context, queue)
        assert job.plan.token_id == who.token_id


async def in_a_batch(parts: Parts, who: Access, *requests: JobRequest, key: str | None = None) -> int:
    """Add them as a batch; the first id."""
    drafts = [parts.add.draft(one, who, is_keyed=key is not None) for one in requests]
    return (await parts.add.add_batch(drafts, who, key)).ids[0]


@pytest.mark.parametrize(
    ("who", "members", "path", "words"),
    [
        (SHOP, {"context": "mail"}, "/context", ("shop-web", "bound to the context 'shop'")),
        (SHOP, {"context": ""}, "/context", ("'shop'",)),
        (SHOP, {"context": "default"}, "/context", ("'shop'",)),
        (MAIL, {"queue": "default"}, "/queue", ("mailer", "the queue 'mail'")),
        (access(contexts=["b", "a"]), {}, "/context", ("the contexts 'a', 'b'; name one of them",)),
        (access(queues=["b", "a"]), {"queue": "c"}, "/queue", ("the queues 'a', 'b'",)),
        (access(contexts=map(str, range(50))), {}, "/context", ("and 40 more",)),
    ],
)
async def test_other_contexts_and_queues_are_refused_by_name(parts, who, members, path, words):
    with refused(path, *words):
        await parts.add(request(**members), who)
    with refused(path, *words):
        await in_a_batch(parts, who, request(**members))
    assert await parts.store.last_id() == 0


@pytest.mark.parametrize(
    ("members", "path"),
    [
        ({"command": EXEC_JSON}, "/command"),
        ({"callback_done": EXEC_JSON}, "/callback_done"),
        ({"callback_failed": EXEC_JSON}, "/callback_failed"),
    ],
)
async def test_commands_take_a_right_of_their_own(parts, members, path):
    with refused(path, "shop-web", "add:exec"):
        await parts.add(request(**members), ADDING)
    assert (await parts.add(request(**members), access(Right.ADD_EXEC))).id


async def test_callback_inherits_the_token_and_the_queue(parts, store, node):
    who = access(queues=["mail"])
    added = await parts.add(request(callback_done=HTTP_JSON), who)
    await claim_all(store, node)
    assert await parts.manage.report(added.id, who, 1, Outcome(SUCCEEDED))
    callback = await parts.look.job(added.id + 1, who)
    assert (callback.parent_id, callback.queue, callback.plan.token_id) == (added.id, "mail", who.token_id)


async def test_plan_without_a_token_is_stored_as_ever(parts):
    assert b"token" not in (await parts.add(request(), EVERYBODY)).row.payload
    assert decode_plan((await parts.add(request(), SHOP)).row.payload).token_id == SHOP.token_id


async def test_full_queue_does_not_tell_a_bound_token_how_full_it_is(store):
    full = Parts(store, Settings(max_waiting=1))
    await full.add(request(), EVERYBODY)
    with pytest.raises(StoreUnavailable, match="the queue is full: 1 jobs wait"):
        await full.add(request(), access())
    with pytest.raises(StoreUnavailable, match="the queue is full: too many jobs wait"):
        await full.add(request(), SHOP)


# Idempotency keys.


async def test_idempotency_keys_of_tokens_never_meet(parts):
    clients = (EVERYBODY, access(token_id=1), access(token_id=2), SHOP)
    first = [(await parts.add(request(), who, "key")).id for who in clients]
    assert len(set(first)) == len(clients)
    for who, id_ in zip(clients, first, strict=True):
        again = await parts.add(request(), who, "key")
        assert (again.id, again.is_replayed) == (id_, True)
        with pytest.raises(KeyMismatch, match=f"belongs to job {id_},"):
            await parts.add(request(priority=9), who, "key")


async def test_idempotency_keys_of_batches_of_tokens_never_meet(parts):
    ids = {await in_a_batch(parts, who, request(), request(), key="all") for who in (EVERYBODY, SHOP, MAIL)}
    assert len(ids) == 3
    assert {await in_a_batch(parts, who, request(), request(), key="all") for who in (EVERYBODY, SHOP, MAIL)} == ids
    single = {await in_a_batch(parts, who, request(idempotency_key="one")) for who in (EVERYBODY, SHOP, MAIL)}
    assert len(single) == 3


async def test_rotated_token_keeps_its_keys(parts):
    added = await parts.add(request(), access(name="old", token_id=5), "key")
    assert (await parts.add(request(), access(name="new", token_id=5), "key")).id == added.id


# Changing one job.


async def test_hidden_jobs_are_not_there_to_be_changed_whatever_their_state(parts, store, node):
    ended = await add_and_end(store, node, new_job(), OutcomeKind.FAILED)
    running = (await add_and_continue(store, node, new_job())).id
    waiting, scheduled = await store.add([new_job(), new_job(delay=SECOND)])
    before = [await store.get(id_) for id_ in (ended, running, waiting, scheduled)]
    for job in before:
        for who in (SHOP, MAIL, access(contexts=["default"], queues=["mail"])):
            assert await parts.manage.cancel(job.id, who) is None
            assert await parts.manage.retry(job.id, who, NO_PATCH) is None
            assert await parts.manage.revise(job.id, who, patch(priority=1)) is None
            assert await parts.manage.run_now(job.id, who) is None
            assert await parts.manage.delete(job.id, who) is False
            assert await parts.manage.heartbeat(job.id, who, job.claim_seq, seconds=9, message="me") is None
            assert await parts.manage.report(job.id, who, job.claim_seq, Outcome(SUCCEEDED)) is None
    assert [await store.get(job.id) for job in before] == before


async def test_bad_patch_of_a_hidden_job_tells_nothing(parts, store):
    """Neither that it is there, nor what it is: the patch is not even read."""
    (id_,) = await store.add([new_job(EXEC)])
    assert await parts.manage.revise(id_, SHOP, patch(command={"url": 3})) is None
    with pytest.raises(InvalidJob):
        await parts.manage.revise(id_, access(), patch(command={"url": 3}))


@pytest.mark.parametrize(
    ("who", "members", "path"),
    [
        (SHOP, {"context": "mail"}, "/context"),
        (SHOP, {"context": None}, "/context"),
        (access(contexts=["shop"], queues=["default"]), {"queue": "mail"}, "/queue"),
        (access(contexts=["shop"], queues=["mail", "default"]), {"queue": "c"}, "/queue"),
    ],
)
async def test_jobs_are_not_moved_out_of_the_binding(parts, node, who, members, path):
    store = parts.store
    ended = await add_and_end(store, node, new_job(context="shop"), OutcomeKind.FAILED)
    (waiting,) = await store.add([new_job(context="shop")])
    before = [await store.get(ended), await store.get(waiting)]
    with refused(path, "bound to"):
        await parts.manage.revise(waiting, who, patch(**members))
    with refused(path, "bound to"):
        await parts.manage.retry(ended, who, patch(**members))
    assert [await store.get(ended), await store.get(waiting)] == before


async def test_jobs_are_moved_within_the_binding(parts, store):
    (id_,) = await store.add([new_job(context="a")])
    assert (await parts.manage.revise(id_, access(contexts=["a", "b"]), patch(context="b"))).context == "b"


@pytest.mark.parametrize(
    ("members", "path"),
    [
        ({"command": {"cmd": "rm -rf /"}}, "/command"),
        ({"command": {"timeout": 9}}, "/command"),
        ({"command": None, "callback_done": None}, None),
        ({"callback_done": {"cmd": "x"}}, "/callback_done"),
        ({"callback_failed": EXEC_JSON}, "/callback_failed"),
    ],
)
async def test_commands_are_changed_by_those_who_may_add_them(parts, store, node, members, path):
    """Of an exec job with an exec callback. Whoever may not gets a 403, and the job stays as it is."""
    job = new_job(EXEC, callback_done=EXEC)
    ended = await add_and_end(store, node, job, OutcomeKind.CANCELLED)
    (waiting,) = await store.add([job])
    if path is None:
        with pytest.raises(InvalidJob):
            await parts.manage.revise(waiting, ADDING, patch(**members))
        return
    before = await store.get(waiting)
    with refused(path, "add:exec"):
        await parts.manage.revise(waiting, ADDING, patch(**members))
    with refused(path, "add:exec"):
        await parts.manage.retry(ended, ADDING, patch(**members))
    assert await store.get(waiting) == before
    assert await parts.manage.revise(waiting, access(Right.ADD_EXEC, Right.MANAGE, Right.READ_OUTPUT), patch(**members))


async def test_unchanged_commands_need_no_right(parts, store, node):
    job = new_job(EXEC, callback_done=EXEC)
    ended = await add_and_end(store, node, job, OutcomeKind.CANCELLED)
    waiting, later = await store.add([job, new_job(EXEC, delay=SECOND)])
    assert (await parts.manage.retry(ended, ADDING, NO_PATCH)).state is State.AVAILABLE
    assert (await parts.manage.revise(waiting, ADDING, patch(priority=3))).priority == 3
    assert (await parts.manage.revise(waiting, ADDING, patch(command={"type": "exec"}))).plan.command == EXEC
    assert (await parts.manage.revise(waiting, ADDING, patch(callback_done=None))).plan.callback_done is None
    assert (await parts.manage.run_now(later, ADDING)).state is State.AVAILABLE
    assert (await parts.manage.cancel(waiting, ADDING)).state is State.CANCELLED
    assert (await parts.manage.revise(later, ADDING, patch(command=HTTP_JSON | {"cmd": None}))).plan.command != EXEC


async def test_whoever_changes_a_command_answers_for_it(parts, store):
    added = await parts.add(request(), access(token_id=1))
    for who, members, token_id in (
        (access(token_id=2), {"priority": 9, "retry": {"max_attempts": 3}}, 1),
        (access(token_id=2), {"command": {"url": "http://example.com/other"}}, 2),
        (access(token_id=3), {"callback_failed": HTTP_JSON}, 3),
        (EVERYBODY, {"command": {"url": "http://example.com/third"}}, None),
    ):
        assert (await parts.manage.revise(added.id, who, patch(**members))).plan.token_id == token_id


async def test_job_that_is_moved_away_is_hidden_from_the_next_wish(parts, store):
    """Whatever a token knew of it before: the store asks inside the transaction that changes the job."""
    (id_,) = await store.add([new_job(context="shop")])
    wishes = [parts.manage.cancel(id_, SHOP), parts.manage.revise(id_, EVERYBODY, patch(context="mail"))]
    cancelled, moved = await asyncio.gather(*reversed(wishes), return_exceptions=True)
    assert cancelled.context == "mail"
    assert moved is None
    assert (await store.get(id_)).state is State.AVAILABLE


# Changing many jobs.


async def carried_out(parts: Parts, operation_id: int, who: Access) -> Any:
    """The operation, after its first page."""
    operation = await parts.store.operation(operation_id)
    rule = rule_of(parts.rules, operation)
    page = await parts.store.find_ids(operation.filter, after=0, last=operation.last_id, limit=100)
    step = Step(operation_id=operation_id, next_id=operation.last_id, state=OperationState.COMPLETED, ended_at=NOW)
    await parts.store.amend(page.ids, rule, step)
    return await parts.many.operation(operation_id, who)


@pytest.mark.parametrize("who", [SHOP, access(contexts=["shop", "b"]), access(contexts=["shop"], queues=["default"])])
async def test_actions_on_many_jobs_change_those_that_are_seen(parts, store, who):
    ids = await store.add([new_job(context=context) for context in ("shop", "mail", "shop", "default")])
    assert await parts.many.count(JobFilter(), who) == 2
    operation = await parts.many.start("cancel", JobFilter(), who)
    assert operation.matched == 2
    done = await carried_out(parts, operation.id, who)
    assert (done.state, done.done, done.skipped) == (OperationState.COMPLETED, 2, 0)
    assert [(await store.get(id_)).state for id_ in ids] == [
        State.CANCELLED,
        State.AVAILABLE,
        State.CANCELLED,
        State.AVAILABLE,
    ]


async def test_action_names_a_foreign_context_and_changes_nothing(parts, store):
    (id_,) = await store.add([new_job(context="mail")])
    for wanted in (JobFilter(context="mail"), JobFilter(ids=(id_,)), JobFilter(queue="default", context="mail")):
        operation = await parts.many.start("cancel", wanted, SHOP)
        assert (operation.matched, (await carried_out(parts, operation.id, SHOP)).done) == (0, 0)
    assert (await store.get(id_)).state is State.AVAILABLE


async def test_operation_leaves_jobs_that_were_moved_away_since(parts, store):
    """They were found before, and are changed a moment later: the rule looks again."""
    (id_,) = await store.add([new_job(context="shop")])
    operation = await parts.many.start("cancel", JobFilter(), SHOP)
    page = await store.find_ids(operation.filter, after=0, last=operation.last_id, limit=10)
    await parts.manage.revise(id_, EVERYBODY, patch(context="mail"))
    step = Step(operation_id=operation.id, next_id=id_, state=OperationState.COMPLETED, ended_at=NOW)
    await store.amend(page.ids, rule_of(parts.rules, operation), step)
    assert (await store.get(id_)).state is State.AVAILABLE
    assert ((await store.operation(operation.id)).done, (await store.operation(operation.id)).skipped) == (0, 1)


async def test_operation_keeps_who_asked_for_it(parts, store, node):
    """What it may do is known from the store alone, as after a restart: commands of exec jobs stay as they are."""
    for command in (EXEC, HTTP):
        await add_and_end(store, node, new_job(command, context="shop"), OutcomeKind.CANCELLED)
    who = access(Right.MANAGE, Right.ADD, contexts=["shop"])
    changes = json.dumps({"command": {"timeout": 9}}).encode()
    operation = await parts.many.start("retry", JobFilter(), who, changes=changes)
    assert operation.access == who
    done = await carried_out(parts, operation.id, who)
    assert (done.done, done.skipped) == (1, 1)
    jobs = [await store.get(id_) for id_ in (1, 2)]
    assert [(job.state, job.plan.command.timeout, job.plan.token_id) for job in jobs] == [
        (State.CANCELLED, None, None),
        (State.AVAILABLE, 9, who.token_id),
    ]


@pytest.mark.parametrize(
    ("who", "changes", "path"),
    [
        (SHOP, {"context": "mail"}, "/changes/context"),
        (SHOP, {"context": None}, "/changes/context"),
        (MAIL, {"queue": "default"}, "/changes/queue"),
        (ADDING, {"command": EXEC_JSON}, "/changes/command"),
        (ADDING, {"callback_failed": EXEC_JSON}, "/changes/callback_failed"),
        (ADDING, {"callback_done": HTTP_JSON}, "/changes/callback_done"),
        (ADDING, {"callback_done": {"url": "http://example.com/other"}}, "/changes/callback_done"),
    ],
)
async def test_changes_that_no_job_may_have_are_refused_at_once(parts, who, changes, path):
    with refused(path, who.name):
        await parts.many.start("retry", JobFilter(), who, changes=json.dumps(changes).encode())
    assert await parts.many.operations(2**62, EVERYBODY, 10) == ([], None)


@pytest.mark.parametrize(
    ("who", "changes"),
    [
        (SHOP, {"context": "shop", "queue": "any", "command": EXEC_JSON}),
        (access(contexts=["default"]), {"context": None}),
        (ADDING, {"command": HTTP_JSON, "callback_done": None, "callback_failed": 3}),
        (SHOP, {"context": 7}),
        (EVERYBODY, {"context": "any", "command": EXEC_JSON}),
    ],
)
async def test_other_changes_are_left_to_each_job(parts, who, changes):
    assert await parts.many.start("retry", JobFilter(), who, changes=json.dumps(changes).encode())


async def test_operations_of_others_are_hidden(parts):
    shop, mail = SHOP, access(name="mail", contexts=["mail"])
    started = {
        "shop's": await parts.many.start("cancel", JobFilter(), shop),
        "mail's": await parts.many.start("cancel", JobFilter(key="secret"), mail),
        "mail's, of shop": await parts.many.start("cancel", JobFilter(context="shop"), mail),
        "everybody's": await parts.many.start("cancel", JobFilter(), EVERYBODY),
        "everybody's, of shop": await parts.many.start("cancel", JobFilter(context="shop"), EVERYBODY),
    }
    seen = {"shop's", "everybody's, of shop"}
    found, following = await parts.many.operations(2**62, shop, 10)
    assert following is None
    assert [one.id for one in found] == [started[name].id for name in reversed(started) if name in seen]
    for name, operation in started.items():
        for answer in (await parts.many.operation(operation.id, shop), await parts.many.cancel(operation.id, shop)):
            assert (answer is not None) == (name in seen), name
        is_running = (await parts.store.operation(operation.id)).state is OperationState.RUNNING
        assert is_running == (name not in seen), name


async def test_pages_of_operations_show_each_once(parts):
    mine = []
    for number in range(20):
        operation = await parts.many.start("cancel", JobFilter(), SHOP if number % 3 else EVERYBODY)
        mine += [operation.id] * bool(number % 3)
    found, before = [], 2**62
    while before is not None:
        page, before = await parts.many.operations(before, SHOP, 4)
        assert len(page) <= 4
        found += [operation.id for operation in page]
    assert found == mine[::-1]


def test_access_survives_its_way_through_the_store():
    who = access(Right.ADD, contexts=["a", "ü"], queues=["q"])
    assert msgspec.json.decode(msgspec.json.encode(who), type=Access) == who


async def test_claims_go_to_the_engine_whoever_added_the_jobs(parts, store, node):
    """A binding is for those who ask: it does not keep jobs from being run."""
    ids = [(await parts.add(request(), who)).id for who in (SHOP, MAIL, EVERYBODY)]
    assert sorted(job.id for job in await claim(store, node)) == ids
