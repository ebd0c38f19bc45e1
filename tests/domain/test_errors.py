import pytest

from queue_server.domain import errors
from queue_server.domain.errors import (
    PROBLEMS_LIMIT,
    InvalidJob,
    KeyMismatch,
    NotAllowed,
    Problem,
    QueueServerError,
    StoreError,
    StoreRefused,
    StoreUnavailable,
)


def test_every_error_is_below_the_root():
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, Exception)]
    assert all(issubclass(kind, QueueServerError) for kind in kinds)
    assert issubclass(StoreUnavailable, StoreError)
    assert issubclass(StoreRefused, StoreError)


def test_refused_job_points_at_the_member_that_is_refused():
    error = NotAllowed("/command", "commands are off")
    assert (error.path, str(error)) == ("/command", "commands are off")


@pytest.mark.parametrize(("given", "seconds"), [({}, 1), ({"retry_after": 5}, 5)])
def test_unavailable_store_says_when_to_try_again(given, seconds):
    error = StoreUnavailable("the disk is full", **given)
    assert (error.retry_after, str(error)) == (seconds, "the disk is full")


def test_key_of_another_job_says_which():
    error = KeyMismatch("order 7", 12)
    assert (error.key, error.job_id) == ("order 7", 12)
    assert str(error) == "the idempotency key 'order 7' belongs to job 12, which is a different one"


@pytest.mark.parametrize(
    ("count", "last"), [(PROBLEMS_LIMIT + 1, "wrong"), (5000, "4900 more problems are not listed")]
)
def test_job_with_very_many_problems_lists_the_first(count, last):
    found = InvalidJob([Problem(f"/{place}", "wrong") for place in range(count)]).problems
    assert [problem.path for problem in found[:PROBLEMS_LIMIT]] == [f"/{place}" for place in range(PROBLEMS_LIMIT)]
    assert (len(found), found[-1].message) == (PROBLEMS_LIMIT + 1, last)
