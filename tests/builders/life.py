"""What hypothesis makes the life of a store of: jobs with limits, outcomes, wishes and patches."""

from hypothesis import strategies as st

from queue_server.domain.outcome import OutcomeKind
from queue_server.domain.retry import Retry
from queue_server.store.contract import Slots
from tests.builders.jobs import EXEC, HTTP, SECOND

members = st.fixed_dictionaries(
    {
        "command": st.sampled_from([HTTP, EXEC]),
        "delay": st.sampled_from([-SECOND, 0, 0, 1, SECOND, 5 * SECOND]),
        "priority": st.sampled_from([0, 500, 1000]),
        "callback_done": st.sampled_from([None, HTTP]),
        "retry": st.integers(1, 3).map(lambda attempts: Retry(attempts, "fixed", 1.0, jitter=0)),
    },
    optional={
        "ttl": st.sampled_from([9, 2, 0]),
        "deadline": st.sampled_from([20, 4, 1]),
        "retention": st.sampled_from([0, 3]),
        "tags": st.sampled_from([{}, {"a": "1"}, {"a": "2", "b": ""}]),
        "context": st.sampled_from(["app", "shop"]),
        "queue": st.just("mails"),
        "key": st.just("tenant"),
    },
)
slots = st.builds(Slots, st.integers(0, 6), st.integers(0, 6), st.integers(0, 6))
kinds = st.sampled_from([*OutcomeKind, OutcomeKind.CONTINUED, OutcomeKind.CONTINUED])
wishes = st.sampled_from(["cancel", "revise", "retry", "run", "remove", "extend", "report", "report a failure"])
patches = st.sampled_from(
    [
        b"",
        b'{"priority":7,"tags":{"a":null,"c":"3"}}',
        b'{"delay":2}',
        b'{"run_at":null,"queue":"slow"}',
        b'{"ttl":1,"deadline":2}',
        b'{"ttl":null,"deadline":null,"key":"k","retention":1}',
        b'{"command":{"type":"exec","cmd":"true","url":null}}',
        b'{"context":"shop"}',
        b'{"priority":-1}',
    ]
)
