import pytest

from queue_server.domain.callback import OUTPUT_LIMIT, callbacks_owed
from queue_server.domain.job import NewJob, Report, decode_plan
from queue_server.domain.outcome import FAILED, Output
from queue_server.domain.retry import CALLBACK_RETRY
from queue_server.domain.state import State
from tests.builders.jobs import EXEC, HTTP, NOW, REPORT, job, outcome, plan

BOTH = plan(callback_done=HTTP, callback_failed=EXEC)


def owed(plan_, state: State, **members) -> list[NewJob]:
    """The callbacks of a job that comes to this end."""
    about = job(plan=plan_, attempt=3, context="app", priority=800)
    return list(callbacks_owed(about, state, outcome(FAILED, **members), now=NOW))


@pytest.mark.parametrize(
    ("plan_", "state", "command"),
    [
        (plan(), State.COMPLETED, None),
        (plan(), State.FAILED, None),
        (plan(callback_done=HTTP), State.COMPLETED, HTTP),
        (plan(callback_done=HTTP), State.FAILED, HTTP),
        (plan(callback_done=HTTP), State.CANCELLED, HTTP),
        (plan(callback_failed=EXEC), State.COMPLETED, None),
        (plan(callback_failed=EXEC), State.CANCELLED, None),
        (plan(callback_failed=EXEC), State.FAILED, EXEC),
        (BOTH, State.COMPLETED, HTTP),
        (BOTH, State.CANCELLED, HTTP),
        (BOTH, State.FAILED, EXEC),
        (plan(callback_done=HTTP, report=REPORT), State.FAILED, None),
    ],
)
def test_end_is_told_to_the_callback_that_was_asked_for(plan_, state, command):
    assert [decode_plan(row.payload).command for row in owed(plan_, state)] == ([command] if command else [])


def test_callback_is_a_job_of_its_own_that_is_due_now():
    (row,) = owed(BOTH, State.FAILED)
    assert (row.state, row.run_at, row.created_at) == (State.AVAILABLE, NOW, NOW)
    assert (row.priority, row.context, row.type, row.parent_id) == (800, "app", "exec", 7)
    assert decode_plan(row.payload).retry == CALLBACK_RETRY


def test_report_tells_how_the_job_ended():
    (row,) = owed(BOTH, State.FAILED, exit_code=500, error="HTTP 500", output=Output(text=b"ou\xffch"))
    expected = Report(7, State.FAILED, 500, 3, "app", "HTTP 500", "ou\ufffdch")
    assert decode_plan(row.payload).report == expected


def test_report_has_no_error_where_there_was_none():
    (row,) = owed(BOTH, State.COMPLETED, exit_code=200)
    assert decode_plan(row.payload).report.error is None


@pytest.mark.parametrize("size", [OUTPUT_LIMIT - 1, OUTPUT_LIMIT, OUTPUT_LIMIT + 1, 1024 * 1024])
def test_output_of_the_report_is_cut(size):
    (row,) = owed(BOTH, State.FAILED, output=Output(text=b"x" * size))
    assert decode_plan(row.payload).report.output == "x" * min(size, 64 * 1024)


def test_error_with_lone_surrogates_is_told_without_them():
    (row,) = owed(BOTH, State.FAILED, error="no such file: \udce4")
    assert decode_plan(row.payload).report.error == "no such file: ?"
