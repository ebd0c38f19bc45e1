"""Wrong tokens are counted by address, for a minute, in bounded memory."""

from queue_server.web.access.failed_logins import ADDRESSES_KEPT, WINDOW_S, FailedLogins


def test_address_waits_for_the_rest_of_the_minute_once_the_limit_is_reached():
    failed = FailedLogins(3)
    for moment in (10.0, 11.0, 12.0):
        assert failed.seconds_to_wait("a", moment) == 0
        failed.failed("a", moment)
    assert failed.seconds_to_wait("a", 13.0) == 57.0
    assert failed.seconds_to_wait("b", 13.0) == 0
    assert failed.seconds_to_wait("a", 10.0 + WINDOW_S) == 0


def test_new_window_begins_with_the_first_failure_after_the_last_one():
    failed = FailedLogins(2)
    failed.failed("a", 0.0)
    failed.failed("a", 61.0)
    assert failed.seconds_to_wait("a", 61.0) == 0
    failed.failed("a", 62.0)
    assert failed.seconds_to_wait("a", 62.0) == 59.0


def test_so_many_addresses_are_remembered_and_the_quiet_ones_forgotten_first():
    failed = FailedLogins(1)
    for number in range(ADDRESSES_KEPT + 10):
        failed.failed(str(number), float(number) / 1000)
        failed.failed("loud", float(number) / 1000)
    assert len(failed) == ADDRESSES_KEPT
    assert failed.seconds_to_wait("loud", 10.0) > 0
    assert failed.seconds_to_wait("0", 10.0) == 0
