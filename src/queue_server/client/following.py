"""The output of a job while it is written, attempt after attempt, over broken connections."""

from queue_server.client import calls
from queue_server.client.asking import ask, pause_after, pauses
from queue_server.client.errors import ForeignAnswer, NotFound, Unavailable, Unreachable
from queue_server.client.exchange import Exchange, Item, Pause, Request, chunks, opened

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0


def followed(job_id: int, stream: str, attempt: int | None, retry_for: float) -> Exchange[None]:
    """The output of this attempt; or of the latest one and all that come after it, until the job is final."""
    if attempt is not None:
        yield from _attempt(calls.follow(job_id, stream, attempt))
        return
    job = yield from ask(calls.job(job_id), retry_for)
    number = max(1, job.attempt)
    waits = pauses(FIRST_PAUSE_S, LONGEST_PAUSE_S)
    while number <= job.attempt or not job.is_final:
        try:
            yield from _attempt(calls.follow(job_id, stream, number))
            number += 1
        except NotFound:
            yield Pause(next(waits))  # the attempt has not been made yet
        job = yield from ask(calls.job(job_id), retry_for)


def _attempt(request: Request) -> Exchange[None]:
    """The output of one attempt to its end. After a break it is asked for again, without what is known already."""
    known = 0
    waits = pauses(FIRST_PAUSE_S, LONGEST_PAUSE_S)
    while True:
        try:
            yield from opened(request)
            position = 0
            while (data := (yield from chunks())) is not None:
                if new := data[max(0, known - position) :]:
                    yield Item(new)
                position += len(data)
                known = max(known, position)
            return
        except (Unreachable, Unavailable, ForeignAnswer) as error:
            if pause_after(error, request, 0.0) is None:
                raise
        yield Pause(next(waits))
