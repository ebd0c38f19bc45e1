"""Where claims begin to look: never behind a job for longer than half a second."""

from queue_server.domain.state import State
from queue_server.store.front import BEGINNING, SKIP_S, Front
from tests.builders.jobs import NOW, SECOND, new_job

LAST = (500, NOW, 7)


class Watch:
    """Seconds that a test lets pass."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def front_after_a_claim(watch: Watch) -> Front:
    front = Front(watch)
    assert front.begin() == BEGINNING
    front.took(LAST)
    return front


def test_next_claim_begins_behind_the_last_job_that_was_found():
    assert front_after_a_claim(Watch()).begin() == LAST


def test_claim_that_found_nothing_says_nothing():
    front = front_after_a_claim(Watch())
    front.took(None)
    assert front.begin() == BEGINNING


def test_some_claims_look_from_the_beginning_however_many_there_are():
    watch = Watch()
    front, whole = front_after_a_claim(watch), 0
    for _ in range(80):
        watch.now += SKIP_S / 8
        whole += front.begin() == BEGINNING
        front.took(LAST)
    assert whole == 10


def test_job_that_comes_before_that_place_is_found_by_the_next_claim():
    for job, place in (
        (new_job(priority=501), BEGINNING),
        (new_job(priority=500), BEGINNING),
        (new_job(priority=499), LAST),
        (new_job(priority=500, run_at=NOW + SECOND), LAST),
    ):
        assert job.state is State.AVAILABLE
        front = front_after_a_claim(Watch())
        front.came([job])
        assert front.begin() == place


def test_job_that_comes_while_a_claim_is_on_its_way_is_found_by_the_next_one():
    front = front_after_a_claim(Watch())
    front.begin()
    front.came([new_job(priority=501)])
    front.took(LAST)
    assert front.begin() == BEGINNING
