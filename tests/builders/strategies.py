"""What hypothesis makes jobs, outcomes and requests of."""

import json
from typing import Any

from hypothesis import strategies as st

from queue_server.domain.command import ExecCommand, HttpCommand
from queue_server.domain.job import Plan
from queue_server.domain.outcome import Outcome, OutcomeKind, Output
from queue_server.domain.retry import Retry
from queue_server.domain.state import State
from tests.builders.jobs import EXEC, HTTP, NOW, REPORT, SECOND, job, moment

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
"""Any value that Python's json writes, NaN and Infinity among them."""

contexts = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters=[*map(chr, range(32)), "\x7f"]),
    max_size=255,
)
"""What a client may send as a context."""

hostile = st.lists(
    st.sampled_from(["'", '"', "\\", "`", "$(", ")", ";", "&", "|", ">", "<", "*", "~", "!", "#", " ", "-", "a", "é"])
    | st.sampled_from(["$HOME", "${IFS}", "__JOBID__", "__STATE__", "__EXITCODE__", "touch hit", "'\"'"]),
    max_size=12,
).map("".join)
"""Contexts that mean something to a shell."""

codes = st.none() | st.integers(0, 599)
seconds = st.none() | st.floats(allow_nan=True, allow_infinity=True)
errors = st.none() | st.text(st.characters(), max_size=40)
outputs = st.builds(Output, text=st.binary(max_size=60))

outcomes = st.builds(
    Outcome,
    kind=st.sampled_from(OutcomeKind),
    exit_code=codes,
    error=errors,
    retry_after=seconds,
    output=outputs,
    heartbeat=st.just(60.0) | st.floats(allow_nan=True, allow_infinity=True),
)

delays = st.floats(0, 366 * 86_400)
code_lists = st.sampled_from(["137", "200-255", "100, 104-110"])
"""Statuses and exit codes alike, as any command may have them."""

retries = st.builds(
    lambda low, high, *others: Retry(others[0], others[1], min(low, high), max(low, high), *others[2:]),
    delays,
    delays,
    st.integers(1, 1000),
    st.sampled_from(["none", "fixed", "linear", "exponential"]),
    st.floats(0, 1),
    st.none() | code_lists,
    st.none() | delays,
)
instants = st.none() | st.integers(NOW - 1000 * SECOND, NOW + 2000 * SECOND)
"""Limits of jobs, around the moments at which tests happen."""

commands = st.sampled_from([HTTP, EXEC])
plans = st.builds(
    Plan,
    command=commands,
    callback_done=st.none() | commands,
    callback_failed=st.none() | commands,
    retry=st.none() | retries,
    report=st.none() | st.just(REPORT),
    expires_at=instants,
    deadline=instants,
    retention=st.none() | st.floats(0, 10 * 366 * 86_400),
    tags=st.none() | st.just({"customer": "acme"}),
)


@st.composite
def jobs(draw: Any, states: Any = None) -> Any:
    """A job in any state (or one of `states`), with a history that can be."""
    state = draw(st.sampled_from(State) if states is None else states)
    started = 1 if state is State.RUNNING else 0
    attempt = draw(st.integers(started, 30))
    refunded = draw(st.integers(0, max(0, attempt - started)))
    return job(
        state,
        attempt=attempt,
        claim_seq=attempt + draw(st.integers(0, 3)),
        refunded=refunded,
        losses=draw(st.integers(0, 2)),
        plan=draw(plans),
        context=draw(contexts),
        first_started_at=NOW - draw(st.integers(0, 2000 * SECOND)),
        is_cancel_wished=draw(st.sampled_from([False, False, True])),
    )


moments = st.builds(
    lambda now, ran, chance: moment(now, started_at=now - ran, chance=chance),
    st.integers(NOW, NOW + 1000 * SECOND),
    st.integers(0, 100 * SECOND),
    st.floats(0, 1, exclude_max=True),
)

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=30)
names = st.from_regex(r"\A[A-Z_][A-Z0-9_]{0,10}\Z")
members = st.dictionaries(
    texts, st.recursive(st.none() | texts | st.integers(-9, 9), st.lists, max_leaves=4), max_size=3
)

http_commands = st.fixed_dictionaries(
    {"type": st.just("http"), "url": st.sampled_from(["http://example.com/", "https://[::1]:8443/é?a=__JOBID__#x"])},
    optional={
        "method": st.sampled_from(["GET", "HEAD", "DELETE"]),
        "timeout": st.floats(0.001, 604_800),
        "params": members,
        "headers": st.dictionaries(names, st.text("abc \t~é", max_size=10), max_size=3),
        "expect": st.sampled_from(["200-299", "200,404", 204]),
    },
) | st.fixed_dictionaries({"type": st.just("http"), "url": st.just("http://a")}, optional={"json": members})
exec_commands = st.fixed_dictionaries(
    {"type": st.just("exec")} | {"cmd": texts},
    optional={
        "cwd": st.just("/tmp"),
        "env": st.dictionaries(names, texts, max_size=3),
        "stdin": st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
        "timeout": st.floats(0.001, 604_800),
        "expect": st.sampled_from(["0", "0,2-4", 0]),
    },
)
valid_commands = http_commands | exec_commands
valid_requests = st.fixed_dictionaries(
    {"command": valid_commands},
    optional={
        "priority": st.integers(0, 1000),
        "context": contexts,
        "callback_done": st.none() | valid_commands,
        "callback_failed": st.none() | valid_commands,
        "run_at": st.sampled_from(["2026-11-24T09:30:00Z", "2026-11-24T09:30:00.5+01:00"]),
        "retry": st.none()
        | st.fixed_dictionaries(
            {},
            optional={
                "max_attempts": st.integers(1, 1000),
                "min_delay": st.floats(0, 10),
                "max_delay": st.floats(10, 100),
                "max_duration": st.none() | delays,
            },
        ),
        "queue": st.sampled_from(["default", "mails", "a.b:c_d-9"]),
        "key": st.none() | st.sampled_from(["acme", "ä ö", "x" * 255]),
        "ttl": st.none() | delays,
        "deadline": st.none() | delays | st.sampled_from(["2026-11-24T09:30:00Z", "1970-01-01T00:00:00+00:00"]),
        "retention": st.none() | st.floats(0, 316_224_000),
        "tags": st.none() | st.dictionaries(st.sampled_from(["customer", "a.b", "9:_-"]), contexts, max_size=3),
        "idempotency_key": st.none() | st.sampled_from(["order 7", "x" * 255]),
    },
)
"""Jobs as clients may send them, as Python values."""


def body(value: Any) -> bytes:
    """The value as JSON, with NaN and Infinity where Python has them and surrogates escaped."""
    return json.dumps(value).encode()


def http(**members: Any) -> HttpCommand:
    """An http command with these members."""
    return HttpCommand(**({"url": "http://example.com/"} | members))


def shell(cmd: str | None = None, **members: Any) -> ExecCommand:
    """An exec command with these members."""
    return ExecCommand(cmd=cmd, **members)
