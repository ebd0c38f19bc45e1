"""When the engine looks for work, and when it lets the store sleep."""

from queue_server.domain.state import State
from queue_server.engine import demand as demand_module
from queue_server.engine import heartbeat, rescuer
from queue_server.engine.demand import Demand
from queue_server.store.contract import NOTHING_CLAIMED, Claimed
from tests.builders.jobs import job

NOW = 1_000_000_000


def idle(next_due: int | None = None) -> Demand:
    """A demand whose last claim found nothing."""
    demand = Demand()
    demand.asked()
    demand.answered(Claimed((), next_due))
    return demand


def test_work_is_assumed_at_the_start() -> None:
    assert Demand().is_there(NOW)


def test_claim_that_found_nothing_ends_the_demand() -> None:
    assert not idle().is_there(NOW)


def test_arrival_of_due_work_is_demand_at_once() -> None:
    demand = idle()
    demand.arrived(0)
    assert demand.is_there(NOW)
    assert demand.seconds_to_sleep(NOW) == 0


def test_arrival_while_a_claim_is_on_its_way_is_not_forgotten() -> None:
    demand = Demand()
    demand.asked()
    demand.arrived(0)
    demand.answered(NOTHING_CLAIMED)
    assert demand.is_there(NOW)


def test_claim_that_found_overdue_jobs_only_is_asked_again() -> None:
    demand = Demand()
    demand.asked()
    demand.answered(Claimed((), None, overdue=(job(State.AVAILABLE),)))
    assert demand.is_there(NOW), "others may stand behind them"


def test_sleep_lasts_until_the_next_job_is_due() -> None:
    demand = idle(next_due=NOW + 300_000)
    assert demand.seconds_to_sleep(NOW) == 0.3
    assert not demand.is_there(NOW + 299_999)
    assert demand.is_there(NOW + 300_000)


def test_earlier_arrival_shortens_the_sleep_and_a_later_one_does_not_lengthen_it() -> None:
    demand = idle(next_due=NOW + 2_000_000)
    demand.arrived(NOW + 1_000_000)
    demand.arrived(NOW + 3_000_000)
    assert demand.seconds_to_sleep(NOW) == 1.0


def test_idle_store_is_asked_once_a_second_at_most() -> None:
    assert idle().seconds_to_sleep(NOW) == demand_module.POLL_S
    assert min(demand_module.POLL_S, heartbeat.BEAT_S, rescuer.SCAN_S) >= 1
