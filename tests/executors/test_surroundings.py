"""What the server knows of where it stands."""

import socket
from ipaddress import ip_address

import pytest

from queue_server.config.settings import Settings
from queue_server.domain.hosts import Place
from queue_server.executors.surroundings import databases_of, is_own, targets_of


def own_address() -> str:
    """The address by which this machine would reach others; the test is skipped where it reaches nobody."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no address but loopback")
        return str(probe.getsockname()[0])


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1"])
def test_loopback_is_own(address: str) -> None:
    assert is_own(ip_address(address))


def test_address_of_an_interface_is_own() -> None:
    assert is_own(ip_address(own_address()))


@pytest.mark.parametrize("address", ["192.0.2.1", "8.8.8.8", "2001:db8::1", "255.255.255.255", "fe80::1"])
def test_address_of_another_machine_is_not_own(address: str) -> None:
    assert not is_own(ip_address(address))


@pytest.mark.parametrize(
    ("db", "places"),
    [
        ("sqlite:///queue.db", []),
        ("postgresql://ann:secret@10.0.0.9:6000/queue", [("10.0.0.9", 6000)]),
        ("postgresql://ann:a%40b@10.0.0.9/queue", [("10.0.0.9", 5432)]),
        ("postgres://10.0.0.9,10.0.0.8:6000/queue", [("10.0.0.9", 5432), ("10.0.0.8", 6000)]),
        ("postgresql:///queue", [("localhost", 5432)]),
        ("mysql://[::1]/queue", [("::1", 3306)]),
        ("mariadb://ann@127.0.0.1:3307/queue", [("127.0.0.1", 3307)]),
        ("postgresql://no-such-host.invalid/queue", [("no-such-host.invalid", 5432)]),
    ],
)
def test_database_is_where_the_setting_says(db: str, places: list[tuple[str, int]]) -> None:
    found = databases_of(db)
    assert [(database.host, database.port) for database in found] == places


def test_addresses_of_the_database_are_known() -> None:
    (database,) = databases_of("postgresql://localhost/queue")
    assert ip_address("127.0.0.1") in database.addresses


def test_own_port_is_that_of_the_listener() -> None:
    with socket.socket() as listener:
        listener.bind(("0.0.0.0", 0))
        port = listener.getsockname()[1]
        targets = targets_of(Settings(http_allow=("127.0.0.0/8",)), listener, is_on_loopback=False)
        address = ip_address("127.0.0.1")
        assert targets.refusal(Place("127.0.0.1", port), address)
        assert targets.refusal(Place("127.0.0.1", port ^ 1), address) is None
        mine = own_address()
        assert "this server itself" in (targets.refusal(Place(mine, port), ip_address(mine)) or "")


def test_unix_socket_has_no_port(tmp_path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        targets = targets_of(Settings(db="postgresql://127.0.0.1/queue"), listener, is_on_loopback=True)
        address = ip_address("127.0.0.1")
        assert targets.refusal(Place("127.0.0.1", 1337), address) is None
        assert "database" in (targets.refusal(Place("127.0.0.1", 5432), address) or "")
