"""Lists read no more rows than they may: each walks the index that was made for it, and stops."""

import itertools
import re
from contextlib import closing

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from queue_server.domain.state import FINAL_STATES, State
from queue_server.store.contract import JobFilter, JobQuery, Order, Position
from queue_server.store.search.finding import SCAN_LIMIT
from queue_server.store.sqlite.connection import open_reader
from queue_server.store.sqlite.finding import find, find_ids
from tests.builders.jobs import NOW, SECOND, new_job
from tests.builders.lists import END, expected, filters, populated
from tests.builders.properties import limits
from tests.performance.programs.history import EVERY, fill

BY_ID = (Order.NEWEST, Order.OLDEST)
BY_END = (Order.ENDED_LAST, Order.ENDED_FIRST)
ID_RANGE = "id>? AND id<?"
BY_ROWID = "SEARCH job USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"


@pytest.fixture
def jobs(store, node, runner):
    """What is in the database, as the model has it."""
    return runner.run(populated(store, node))


@pytest.fixture
def reader(store, path):
    with closing(open_reader(path)) as one:
        yield one


def steps(reader: apsw.Connection, query: JobQuery, scan_limit: int = SCAN_LIMIT) -> list[list[str]]:
    """The plans of all statements that a search runs, but for reading the page itself."""
    ran = []

    def trace(_cursor, sql, values):
        ran.append((sql, values))
        return True

    reader.exec_trace = trace
    try:
        find(reader, query, scan_limit)
    finally:
        reader.exec_trace = None
    ran = [(sql, values) for sql, values in ran if sql not in {"begin", "rollback"} and "payload" not in sql]
    assert not any(re.search(r"[<>=] *'(?!exec|default|scheduled)", sql) for sql, _ in ran), "values are bound"
    return [[row[3] for row in reader.execute(f"explain query plan {sql}", values)] for sql, values in ran]


def on_tables(plans):
    """The steps that touch a table or an index."""
    return [
        step for plan in plans for step in plan if re.match(r"(SEARCH|SCAN) (job|tag|other|payload|attempt)\b", step)
    ]


def sorts_only_pages(plan):
    """Whether what is sorted, if anything, is what sub-queries with a limit have found."""
    return all(before.startswith("SCAN part") for before, step in itertools.pairwise(plan) if "TEMP B-TREE" in step)


@pytest.mark.parametrize(
    ("members", "step"),
    [
        ({}, BY_ROWID),
        ({"states": (State.RUNNING,)}, f"SEARCH job USING COVERING INDEX job_state (state=? AND {ID_RANGE})"),
        ({"type": "exec"}, f"SEARCH job USING COVERING INDEX job_exec (type=? AND {ID_RANGE})"),
        ({"queue": "mail"}, f"SEARCH job USING COVERING INDEX job_queue (queue=? AND {ID_RANGE})"),
        ({"context": "shop"}, f"SEARCH job USING COVERING INDEX job_context (context=? AND {ID_RANGE})"),
        ({"contexts": ("shop",)}, f"SEARCH job USING COVERING INDEX job_context (context=? AND {ID_RANGE})"),
        ({"queues": ("mail",)}, f"SEARCH job USING COVERING INDEX job_queue (queue=? AND {ID_RANGE})"),
        ({"key": "%"}, f"SEARCH job USING COVERING INDEX job_key (key=? AND {ID_RANGE})"),
        ({"parent_id": 1}, f"SEARCH job USING COVERING INDEX job_parent (parent_id=? AND {ID_RANGE})"),
        ({"tags": {"region": "eu"}}, "SEARCH tag USING PRIMARY KEY (name=? AND value=? AND job_id>? AND job_id<?)"),
    ],
)
@pytest.mark.parametrize("order", BY_ID)
def test_filter_on_one_thing_reads_a_page_of_its_index(reader, jobs, members, step, order):
    for after in (None, Position(99, 99)):
        (plan,) = steps(reader, JobQuery(filter=JobFilter(**members), order=order, after=after))
        first, *others = on_tables([plan])
        assert first == step
        assert others in ([], ["SEARCH job USING INTEGER PRIMARY KEY (rowid=?)"])
        assert not any("TEMP B-TREE" in one for one in plan), "the index gives the order"


@pytest.mark.parametrize("after", [None, Position(END + 4 * SECOND, 99)])
def test_lists_by_end_and_by_due_time_read_a_page_of_their_index(reader, jobs, after):
    for order in BY_END:
        query = JobQuery(filter=JobFilter(states=(State.FAILED,)), order=order, after=after)
        (plan,) = steps(reader, query)
        assert on_tables([plan]) == [
            "SEARCH job USING COVERING INDEX job_ended (state=? AND ended_at>? AND ended_at<?)"
        ]
        assert not any("TEMP B-TREE" in one for one in plan)
    (plan,) = steps(reader, JobQuery(order=Order.DUE, after=after))
    assert on_tables([plan]) == ["SEARCH job USING COVERING INDEX job_due (run_at>? AND run_at<?)"]
    assert not any("TEMP B-TREE" in one for one in plan)


@pytest.mark.parametrize(
    ("members", "index"),
    [({"contexts": ("shop", "rare", "shop")}, "job_context"), ({"queues": ("mail", "rare")}, "job_queue")],
)
@pytest.mark.parametrize("order", BY_ID)
def test_binding_to_several_is_pages_of_ranges_that_are_merged(reader, jobs, members, index, order):
    (plan,) = steps(reader, JobQuery(filter=JobFilter(**members), order=order))
    assert [step.partition(" (")[0] for step in on_tables([plan])] == [f"SEARCH job USING COVERING INDEX {index}"] * 2
    assert sorts_only_pages(plan)


def test_binding_that_no_index_serves_is_checked_on_each_row(reader, jobs):
    for members in ({"contexts": ("default", "shop")}, {"queues": tuple(map(str, range(20)))}):
        plans = steps(reader, JobQuery(filter=JobFilter(**members)), 40)
        assert on_tables(plans)[-1] == BY_ROWID


@pytest.mark.parametrize(("order", "index"), [(Order.NEWEST, "job_state"), (Order.ENDED_LAST, "job_ended")])
def test_several_states_are_pages_of_ranges_that_are_merged(reader, jobs, order, index):
    (plan,) = steps(reader, JobQuery(filter=JobFilter(states=FINAL_STATES), order=order))
    assert [step.partition(" (")[0] for step in on_tables([plan])] == [f"SEARCH job USING COVERING INDEX {index}"] * 3
    assert sorts_only_pages(plan)


def test_times_of_creation_are_turned_into_ids(reader, jobs):
    wanted = JobFilter(created_after=NOW + 30 * SECOND, created_before=NOW + 90 * SECOND, type="http")
    plans = steps(reader, JobQuery(filter=wanted), 10)
    first, last, *_ = on_tables(plans)
    assert first == "SEARCH job USING COVERING INDEX job_created (created_at>?)"
    assert last == "SEARCH job USING COVERING INDEX job_created (created_at<?)"
    assert on_tables(plans)[-1] == BY_ROWID


def test_few_jobs_are_gathered_whatever_their_order(reader, jobs):
    """The lists by end and by due time have no index for each filter: where a filter has few jobs, these are sorted."""
    for order in BY_END:
        plans = steps(reader, JobQuery(filter=JobFilter(key="tenant-1"), order=order), 100)
        assert on_tables(plans)[-1] == "SEARCH job USING INDEX job_key (key=?)"
    for order in BY_ID:
        wanted = JobFilter(ended_after=END + 2 * SECOND, ended_before=END + 4 * SECOND)
        plans = steps(reader, JobQuery(filter=wanted, order=order), 100)
        assert {step.partition(" (")[0] for step in on_tables(plans)} == {
            "SEARCH job USING INTEGER PRIMARY KEY",
            "SEARCH job USING COVERING INDEX job_ended",
        }


def test_index_that_gets_farthest_is_walked(reader, jobs):
    """Of two filters the rarer one is walked, and the other checked on each row."""
    for members, index in (
        ({"states": (State.RUNNING,), "context": "shop"}, "job_state (state=?"),
        ({"states": (State.COMPLETED, State.SCHEDULED), "queue": "rare"}, "job_queue (queue=?"),
    ):
        plans = steps(reader, JobQuery(filter=JobFilter(**members)), 40)
        assert on_tables(plans)[-1].startswith(f"SEARCH job USING INDEX {index}")


@pytest.mark.timeout(600)
@pytest.mark.parametrize("examples", [60, pytest.param(2000, marks=pytest.mark.long)])
def test_no_search_walks_a_table(reader, jobs, examples):
    @limits(examples)
    @given(filters, st.sampled_from(Order), st.sampled_from([1, 20, SCAN_LIMIT]))
    def check(wanted, order, scan_limit):
        for step in on_tables(steps(reader, JobQuery(filter=wanted, order=order), scan_limit)):
            assert step.startswith("SEARCH")

    check()


@pytest.mark.timeout(900)
@pytest.mark.parametrize("examples", [100, pytest.param(5000, marks=pytest.mark.long)])
def test_pages_are_those_of_the_model_however_few_rows_one_may_look_at(reader, jobs, examples):
    @limits(examples)
    @given(filters, st.sampled_from(Order), st.integers(1, 30), st.integers(1, 60))
    def check(wanted, order, limit, scan_limit):
        found = [job_id for page in all_pages(reader, wanted, order, limit, scan_limit) for job_id in page]
        assert found == expected(jobs, wanted, order)

    check()


def all_pages(reader, wanted, order=Order.NEWEST, limit=10, scan_limit=SCAN_LIMIT):
    query = JobQuery(filter=wanted, order=order, limit=limit)
    while True:
        page = find(reader, query, scan_limit)
        assert len(page.jobs) <= limit
        yield [job.id for job in page.jobs]
        if page.next is None:
            return
        assert query.after != page.next, "it goes on"
        query = JobQuery(filter=wanted, order=order, limit=limit, after=page.next)


# How much is done for a page, in steps of SQLite's virtual machine.

HISTORY = 40_000
BOUND = 80_000
"""Steps for one page that may look at 500 rows; to walk over all jobs takes three steps for each."""

FEW_AND_MANY = {
    "states": ((State.COMPLETED,), (State.FAILED, State.CANCELLED), (State.RUNNING,)),
    "type": ("http", "exec"),
    "queue": ("default", "mail", "reports"),
    "context": ("default", "shop", "rare", "none"),
    "key": ("tenant-7",),
    "tags": ({"customer": "acme"}, {"order": "4711"}, {"region": "eu", "customer": "acme"}),
    "created_before": (NOW + HISTORY // 2 * EVERY,),
    "ended_before": (NOW + HISTORY // 2 * EVERY, NOW + 100 * EVERY),
    "contexts": (("default", "shop"), ("shop", "rare"), tuple(map(str, range(40)))),
}
FILTERS = [{name: value} for name, values in FEW_AND_MANY.items() for value in values]
PAIRS = [one | other for one, other in itertools.combinations(FILTERS, 2) if one.keys().isdisjoint(other)]


@pytest.fixture(scope="module")
def history(tmp_path_factory):
    """A reader of a database with many jobs."""
    path = tmp_path_factory.mktemp("history") / "queue.db"
    fill(path, HISTORY, NOW)
    with closing(open_reader(path)) as one:
        yield one


@pytest.mark.parametrize("order", Order)
def test_work_for_a_page_does_not_grow_with_the_jobs(history, order):
    work = []
    history.trace_v2(apsw.SQLITE_TRACE_PROFILE, lambda event: work.append(vm_steps(event)))
    try:
        for members in FILTERS + PAIRS:
            after = None
            for _ in range(3):
                work.clear()
                page = find(history, JobQuery(filter=JobFilter(**members), order=order, limit=10, after=after), 500)
                assert sum(work) < BOUND, (members, after)
                if page.next is None:
                    break
                after = page.next
    finally:
        history.trace_v2(0, None)


def vm_steps(event):
    return event["stmt_status"]["SQLITE_STMTSTATUS_VM_STEP"]


# What a small limit makes visible.


def test_filter_on_one_thing_fills_its_pages_however_few_rows_others_may_look_at(reader, jobs):
    for members in ({}, {"states": (State.COMPLETED,)}, {"queue": "mail"}, {"key": "%"}, {"tags": {"region": "eu"}}):
        wanted = JobFilter(**members)
        sizes = [len(page) for page in all_pages(reader, wanted, limit=10, scan_limit=1)]
        assert all(size == 10 for size in sizes[:-1])
        assert sum(sizes) == len(expected(jobs, wanted, Order.NEWEST))


def test_page_ends_where_it_may_look_no_further(reader, jobs):
    """http has no index, so all jobs are looked at."""
    wanted, ids = JobFilter(type="http"), [job.record.id for job in jobs]
    seen, query = [], JobQuery(filter=wanted, order=Order.OLDEST, limit=100)
    for first in range(0, 250, 50):
        page = find(reader, query, 50)
        seen += [job.id for job in page.jobs]
        assert page.next == Position(ids[first + 49], ids[first + 49]), "the last row that was looked at"
        query = JobQuery(filter=wanted, order=Order.OLDEST, limit=100, after=page.next)
    assert find(reader, query, 50).next is None
    assert seen == expected(jobs, wanted, Order.OLDEST)


def test_rare_jobs_are_found_at_once_also_where_they_are_old(reader, jobs):
    for members in (
        {"queue": "rare", "type": "http"},
        {"queue": "rare", "context": "none"},
        {"queue": "none", "key": "%"},
    ):
        for order in Order:
            assert len(list(all_pages(reader, JobFilter(**members), order, scan_limit=60))) == 1


def test_many_ids_are_looked_up_a_part_at_a_time(reader, jobs):
    wanted = JobFilter(ids=tuple(range(1, 10_001)), type="exec")
    page = find_ids(reader, wanted, after=0, last=10_000, limit=1000, scan_limit=100)
    assert page.next_after == 100
    assert list(page.ids) == [id_ for id_ in expected(jobs, wanted, Order.OLDEST) if id_ <= 100]


def test_checking_tags_counts_as_looking_at_rows(reader, jobs):
    wanted = JobFilter(type="http", tags={"region": "eu", "customer": "acme"}, states=tuple(State)[:5])
    alone = JobFilter(type="http", states=tuple(State)[:5])
    assert len(list(all_pages(reader, wanted, limit=1000, scan_limit=100))) >= 1
    assert len(list(all_pages(reader, alone, limit=1000, scan_limit=100))) >= 3


def test_jobs_created_long_before_are_found_without_walking_to_them(reader, jobs, runner, store):
    """They are more than a page may look at away from the newest."""
    runner.run(store.add([new_job(now=END + 1000 * SECOND) for _ in range(6000)]))
    wanted = JobFilter(created_before=END, type="http", context="shop", queue="default")
    pages = list(all_pages(reader, wanted, limit=1000, scan_limit=20))
    assert len(pages) <= 250 // 20 + 2
    assert [job_id for page in pages for job_id in page] == expected(jobs, wanted, Order.NEWEST)
