"""The output of a job: what there is, or all of it while it is written, over broken connections."""

from queue_server.client import calls
from queue_server.client.asking import ask, pause_after, pauses
from queue_server.client.errors import ForeignAnswer, Refused, Unavailable, Unreachable
from queue_server.client.exchange import Exchange, Item, Pause, Request, chunks, opened
from queue_server.client.results import Job
from queue_server.domain.state import State

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0


def downloaded(
    job_id: int, stream: str, attempt: int | None, span: tuple[int | None, int | None], retry_for: float
) -> Exchange[bytes]:
    """The bytes that there are, from `span[0]` to before `span[1]`; a negative start counts from the end."""
    try:
        return (yield from ask(calls.output(job_id, stream, attempt, _range(*span)), retry_for))
    except Refused as error:
        if error.status == 416:
            return b""  # nothing is there
        raise


def followed(job_id: int, stream: str, attempt: int | None, retry_for: float) -> Exchange[None]:
    """The output of this attempt; or of the latest one and all that come after it, until the job is final.

    A server that stops ends its answers as if the attempts had ended. So what is left is read once they have.
    """
    job = yield from ask(calls.job(job_id), retry_for)
    number = attempt or max(1, job.attempt)
    known = 0
    waits = pauses(FIRST_PAUSE_S, LONGEST_PAUSE_S)
    while number == attempt or number <= job.attempt or not job.is_final:
        before, known = known, (yield from _rest(calls.follow(job_id, stream, number), known))
        job = yield from ask(calls.job(job_id), retry_for)
        if _has_ended(job, number):
            if rest := (yield from downloaded(job_id, stream, number, (known, None), retry_for)):
                yield Item(rest)
            if number == attempt:
                return
            number, known = number + 1, 0
        elif not job.is_final:
            waits = waits if known == before else pauses(FIRST_PAUSE_S, LONGEST_PAUSE_S)
            yield Pause(next(waits))


def _rest(request: Request, known: int) -> Exchange[int]:
    """The output that comes after the `known` first bytes; how many are known when the answer ends or breaks off."""
    position = 0
    try:
        yield from opened(request)
        while (data := (yield from chunks())) is not None:
            if new := data[max(0, known - position) :]:
                yield Item(new)
            position += len(data)
            known = max(known, position)
    except (Unreachable, Unavailable, ForeignAnswer) as error:
        if pause_after(error, request, 0.0) is None:
            raise
    return known


def _has_ended(job: Job, number: int) -> bool:
    return job.attempt > number or (job.attempt == number and job.state != State.RUNNING)


def _range(start: int | None, end: int | None) -> str | None:
    """The range of RFC 9110, section 14.1.2."""
    if start is None and end is None:
        return None
    if end is None:
        return str(start) if start and start < 0 else f"{start}-"
    if end <= (start or 0) or (start or 0) < 0:
        raise ValueError(f"from {start} to before {end} are no bytes")
    return f"{start or 0}-{end - 1}"
