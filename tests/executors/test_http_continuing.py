"""A target that answers 202 and X-Queue-Continue goes on with the job past its request."""

import pytest

from queue_server.domain.outcome import Outcome, OutcomeKind
from queue_server.executors.http import parse_heartbeat
from tests.builders.jobs import REPORT
from tests.executors.builders import http_executor, http_job
from tests.executors.http_client.lab import answering, target


async def outcome_of(answer: bytes, *, plan: dict[str, object] | None = None, **command: object) -> Outcome:
    async with target(answering(answer)) as place, http_executor(heartbeat_timeout=44.0) as made:
        return await made.run(http_job(place.url, plan=plan, **command))


def accepted(*headers: str, status: int = 202) -> bytes:
    head = "\r\n".join([f"HTTP/1.1 {status} Whatever", *headers, "Content-Length: 5"])
    return head.encode() + b"\r\n\r\nlater"


@pytest.mark.parametrize("value", ["true", "True", "TRUE", "1", " true "])
async def test_202_that_says_so_continues(value: str) -> None:
    outcome = await outcome_of(accepted(f"x-queue-CONTINUE: {value}"))
    assert (outcome.kind, outcome.exit_code, outcome.heartbeat) == (OutcomeKind.CONTINUED, 202, 44.0)
    assert outcome.output.text == b"later"
    assert outcome.timings.first_byte


@pytest.mark.parametrize("value", ["", "false", "0", "yes", "true, false"])
async def test_other_values_do_not_continue(value: str) -> None:
    assert (await outcome_of(accepted(f"X-Queue-Continue: {value}"))).kind is OutcomeKind.SUCCEEDED


async def test_202_alone_is_a_success() -> None:
    assert (await outcome_of(accepted())).kind is OutcomeKind.SUCCEEDED


@pytest.mark.parametrize("status", [200, 201, 204])
async def test_other_statuses_do_not_continue(status: int) -> None:
    assert (await outcome_of(accepted("X-Queue-Continue: true", status=status))).kind is OutcomeKind.SUCCEEDED


async def test_202_that_is_not_expected_fails_as_ever() -> None:
    outcome = await outcome_of(accepted("X-Queue-Continue: true"), expect="200")
    assert (outcome.kind, outcome.exit_code) == (OutcomeKind.FAILED, 202)


async def test_callback_may_not_continue() -> None:
    outcome = await outcome_of(accepted("X-Queue-Continue: true"), plan={"report": REPORT})
    assert (outcome.kind, outcome.exit_code) == (OutcomeKind.SUCCEEDED, 202)


async def test_target_chooses_its_heartbeat() -> None:
    outcome = await outcome_of(accepted("X-Queue-Continue: true", "X-Queue-Heartbeat: 300"))
    assert outcome.heartbeat == 300.0


@pytest.mark.parametrize("text", [None, "", "soon", "-1", "0", "0.09", "604801", "nan", "inf", "1e9", "5 s"])
def test_heartbeat_that_is_not_sane_is_the_setting(text: str | None) -> None:
    assert parse_heartbeat(text, 44.0) == 44.0


@pytest.mark.parametrize(("text", "seconds"), [("0.1", 0.1), ("604800", 604800.0), (" 2.5 ", 2.5), ("1e2", 100.0)])
def test_heartbeat_is_in_seconds(text: str, seconds: float) -> None:
    assert parse_heartbeat(text, 44.0) == seconds
