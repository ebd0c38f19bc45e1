import pytest
from hypothesis import strategies as st

from queue_server.domain.retry import CALLBACK_RETRY, ONCE, Retry, delay_after
from tests.builders.jobs import SECOND
from tests.builders.properties import for_all
from tests.builders.strategies import retries, seconds

chances = st.floats(0, 1, exclude_max=True)


@pytest.mark.parametrize(
    ("backoff", "delays"),
    [
        ("none", [0, 0, 0, 0, 0]),
        ("fixed", [3, 3, 3, 3, 3]),
        ("linear", [3, 6, 9, 12, 15]),
        ("exponential", [3, 6, 12, 24, 48]),
    ],
)
def test_delay_follows_the_table_of_the_backoff(backoff, delays):
    retry = Retry(max_attempts=9, backoff=backoff, min_delay=3, jitter=0)
    assert [delay_after(retry, n, retry_after=None, chance=0.9) for n in range(1, 6)] == [d * SECOND for d in delays]


@pytest.mark.parametrize(("chance", "delay"), [(0.0, 8.0), (0.25, 9.0), (0.5, 10.0), (0.75, 11.0)])
def test_jitter_spreads_around_the_delay(chance, delay):
    retry = Retry(backoff="fixed", min_delay=10, jitter=0.2)
    assert delay_after(retry, 1, retry_after=None, chance=chance) == round(delay * SECOND)


@pytest.mark.parametrize(("wish", "delay"), [(5, 10), (60, 60), (500, 100), (0, 10), (-1, 10), (1e999, 100)])
def test_retry_after_delays_up_to_max_delay(wish, delay):
    retry = Retry(backoff="fixed", min_delay=10, max_delay=100, jitter=0)
    assert delay_after(retry, 1, retry_after=wish, chance=0.5) == delay * SECOND


def test_many_attempts_stay_at_max_delay():
    retry = Retry(max_attempts=1000, min_delay=0.001, max_delay=3600, jitter=0)
    assert delay_after(retry, 1000, retry_after=None, chance=0.5) == 3600 * SECOND


@for_all(retries, st.integers(1, 1000), seconds, chances)
def test_delay_stays_between_zero_and_max_delay(retry, attempts, wish, chance):
    delay = delay_after(retry, attempts, retry_after=wish, chance=chance)
    assert 0 <= delay <= round(retry.max_delay * SECOND)


@for_all(retries, st.integers(1, 1000), st.floats(0, 1e9), chances)
def test_retry_after_never_makes_it_sooner(retry, attempts, wish, chance):
    delay = delay_after(retry, attempts, retry_after=wish, chance=chance)
    assert delay >= delay_after(retry, attempts, retry_after=None, chance=chance)
    assert delay >= round(min(wish, retry.max_delay) * SECOND)


@for_all(retries, st.integers(1, 1000), chances)
def test_jitter_stays_within_its_share(retry, attempts, chance):
    exact = Retry(retry.max_attempts, retry.backoff, retry.min_delay, retry.max_delay, jitter=0)
    middle = delay_after(exact, attempts, retry_after=None, chance=chance)
    spread = delay_after(retry, attempts, retry_after=None, chance=chance)
    assert abs(spread - middle) <= middle * retry.jitter + 1


def test_job_runs_once_and_callback_five_times_by_default():
    assert (ONCE.max_attempts, CALLBACK_RETRY.max_attempts) == (1, 5)
    assert (CALLBACK_RETRY.backoff, CALLBACK_RETRY.min_delay) == ("exponential", 1.0)
