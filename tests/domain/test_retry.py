import msgspec
import pytest
from hypothesis import strategies as st
from msgspec import UNSET

from queue_server.domain.retry import (
    CALLBACK_RETRY,
    ONCE,
    Retry,
    RetryWish,
    codes_text,
    delay_after,
    is_worth_retrying,
    resolve,
)
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


# A wish, completed by the server's defaults.

DEFAULTS = Retry(max_attempts=4, backoff="fixed", min_delay=10, max_delay=100, jitter=0.5)


def test_job_that_wishes_nothing_has_the_defaults():
    assert resolve(None, DEFAULTS) == DEFAULTS
    assert resolve(None, ONCE) is None, "it stands for itself and takes no room"
    assert resolve(RetryWish(), DEFAULTS) == DEFAULTS
    assert resolve(RetryWish(), ONCE) == ONCE


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_attempts", 9),
        ("max_attempts", 1),
        ("backoff", "none"),
        ("min_delay", 20.0),
        ("min_delay", 0.0),
        ("max_delay", 50.0),
        ("jitter", 0.0),
        ("retry_on", "429"),
        ("max_duration", 60.0),
        ("max_duration", 0.0),
    ],
)
def test_wish_rules_over_the_default_and_changes_nothing_else(name, value):
    assert resolve(RetryWish(**{name: value}), DEFAULTS) == msgspec.structs.replace(DEFAULTS, **{name: value})


def test_given_bound_of_the_delay_rules_over_the_default_of_the_other():
    longer = resolve(RetryWish(min_delay=500), DEFAULTS)
    assert (longer.min_delay, longer.max_delay) == (500, 500)
    shorter = resolve(RetryWish(max_delay=5), DEFAULTS)
    assert (shorter.min_delay, shorter.max_delay) == (5, 5)
    both = resolve(RetryWish(min_delay=500, max_delay=500), DEFAULTS)
    assert (both.min_delay, both.max_delay) == (500, 500)


wishes = st.builds(
    lambda low, high, others: RetryWish(
        **(others | ({} if low is None else {"min_delay": low}) | ({} if high is None else {"max_delay": high}))
    ),
    st.none() | st.floats(0, 50),
    st.none() | st.floats(50, 1000),
    st.fixed_dictionaries(
        {},
        optional={
            "max_attempts": st.integers(1, 1000),
            "jitter": st.floats(0, 1),
            "retry_on": st.sampled_from([503, "500-599", ["429", 503]]),
            "max_duration": st.none() | st.floats(0, 1000),
        },
    ),
)


@for_all(wishes, retries)
def test_what_applies_is_a_retry_that_a_client_could_have_written(wish, defaults):
    retry = resolve(wish, defaults)
    assert msgspec.convert(msgspec.to_builtins(retry), Retry) == retry
    assert retry.min_delay <= retry.max_delay
    for name in ("max_attempts", "min_delay", "max_delay", "jitter"):
        if getattr(wish, name) is not UNSET:
            assert getattr(retry, name) == getattr(wish, name)


# Which failures are worth it.


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("429,500-599", "429,500-599"),
        (" 429 , 503", " 429 , 503"),
        (503, "503"),
        (0, "0"),
        ([429, "500-599"], "429,500-599"),
        (["429,500-599", 3], "429,500-599,3"),
        ([7], "7"),
    ],
)
def test_codes_are_kept_in_one_form(written, kept):
    assert codes_text(written) == kept
    assert resolve(RetryWish(retry_on=written), ONCE).retry_on == kept


@pytest.mark.parametrize(
    ("retry_on", "code", "is_worth_it"),
    [
        (None, 404, True),
        (None, 1, True),
        ("429,500-599", 429, True),
        ("429,500-599", 599, True),
        ("429,500-599", 499, False),
        ("429,500-599", None, True),
        ("1,64-78", 1, True),
        ("1,64-78", 70, True),
        ("1,64-78", 0, False),
        ("1,64-78", 137, False),
        ("0", 0, True),
    ],
)
def test_failure_is_worth_it_when_its_code_is_listed_or_it_has_none(retry_on, code, is_worth_it):
    assert is_worth_retrying(Retry(retry_on=retry_on), code) == is_worth_it
