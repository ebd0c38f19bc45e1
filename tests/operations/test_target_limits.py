"""From a token's rules to the limits of its jobs."""

from ipaddress import ip_address

from queue_server.domain.hosts import Place
from queue_server.domain.target_items import ANYWHERE
from queue_server.domain.targets import Surroundings, Targets, read_limits
from queue_server.domain.tokens import TargetRules
from queue_server.operations.target_limits import LimitsOf

RULES = {
    1: None,
    2: TargetRules("public", (), ()),
    3: TargetRules(None, ("10.0.0.0/8",), ()),
    4: TargetRules(None, (), ("no item at all",)),
}


def allows(token_id: int | None, host: str) -> bool:
    targets = Targets(read_limits("internal", (), ()), Surroundings())
    return targets.refusal(Place(host, 80), ip_address(host), LimitsOf(RULES.get)(token_id)) is None


def test_without_a_token_or_rules_the_server_s_count() -> None:
    limits_of = LimitsOf(RULES.get)
    assert limits_of(None) is limits_of(1) is limits_of(99) is ANYWHERE
    assert allows(1, "10.0.0.1")


def test_rules_of_a_token_narrow_its_jobs() -> None:
    assert (allows(2, "8.8.8.8"), allows(2, "10.0.0.1")) == (True, False)
    assert (allows(3, "8.8.8.8"), allows(3, "10.0.0.1")) == (False, True)


def test_rules_that_can_t_be_read_allow_nothing() -> None:
    assert not allows(4, "8.8.8.8")
    assert not allows(4, "127.0.0.1")


def test_limits_stay_the_same_object_so_that_kept_connections_need_no_second_look() -> None:
    assert LimitsOf(RULES.get)(2) is LimitsOf(lambda _: TargetRules("public", (), ()))(7)
