"""Where http jobs may go: the rule, for a URL that a client sends and for an address before it is connected to.

Both the server's limits (settings http_targets, http_allow, http_deny) and those of the token that added the job must
allow a target; http_deny beats http_allow, and http_allow adds to what the mode allows:

    internal    public and private addresses; loopback where the server itself is bound to loopback
    public      public addresses only
    allowlist   nothing

`opens` says which addresses an item of http_allow may open. The server's own port on any address of this machine, and
its database, are refused whatever is allowed. A name is resolved once, and every address of the answer must be
allowed: one that leads to both a public and a forbidden address is an attack or a mistake (as Stripe's smokescreen and
others see it), and no part of it is tried.
"""

from collections.abc import Callable, Sequence

import msgspec

from queue_server.domain.addresses import METADATA_NAMES, Address, Kind, judged, kind_of
from queue_server.domain.errors import InvalidSetting
from queue_server.domain.hosts import Place, address_in, place_of
from queue_server.domain.target_items import (
    ANYWHERE,
    Mode,
    TargetItem,
    TargetLimits,
    is_open,
    opens,
    plain_name,
    read_item,
)

REMEMBERED = 1024
"""URLs' beginnings whose verdict is remembered."""

LONGEST_REMEMBERED = 300
TOKENS = "{} of the token that added the job"


class Database(msgspec.Struct, frozen=True):
    """Where the server's own database is."""

    host: str
    port: int
    addresses: tuple[Address, ...] = ()


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the server stands. `own_port` is None where it has none; `is_own` tells this machine's addresses."""

    is_on_loopback: bool = True
    own_port: int | None = None
    databases: tuple[Database, ...] = ()
    is_own: Callable[[Address], bool] = lambda address: kind_of(address) is Kind.LOOPBACK


def read_limits(mode: Mode | None, allow: Sequence[str], deny: Sequence[str]) -> TargetLimits:
    """The limits of the settings; InvalidSetting naming the item that is none."""
    return TargetLimits(mode=mode, allow=_items("http_allow", allow), deny=_items("http_deny", deny))


def token_limits(mode: Mode | None, allow: Sequence[str], deny: Sequence[str]) -> TargetLimits:
    """The limits of a token; ValueError naming the item that is none. Without a mode, what it allows is all it may."""
    if mode is None and allow:
        mode = "allowlist"
    allowed, denied = tuple(map(read_item, allow)), tuple(map(read_item, deny))
    return TargetLimits(mode=mode, allow=allowed, deny=denied, whose=TOKENS)


class Targets:
    """Judges targets. It may be asked from any thread."""

    def __init__(self, limits: TargetLimits, surroundings: Surroundings) -> None:
        self._limits = limits
        self._surroundings = surroundings
        self._verdicts: dict[str | tuple[str, TargetLimits], str | None] = {}

    def refusal_of_url(self, url: str, limits: TargetLimits = ANYWHERE) -> str | None:
        """Why a job may not go there as far as is known without resolving the name, None if nothing speaks against it.

        What is no URL at all, or gets its host from a placeholder, is judged when it runs.
        """
        end = url.find("/", 8)  # of the host, or later
        start = url if end < 0 else url[:end]
        key = start if limits is ANYWHERE else (start, limits)
        try:
            return self._verdicts[key]
        except KeyError:
            verdict = self._judge_url(start, limits)
        if len(start) <= LONGEST_REMEMBERED:
            if len(self._verdicts) >= REMEMBERED:
                self._verdicts.clear()
            self._verdicts[key] = verdict
        return verdict

    def refusal_of_name(self, place: Place, limits: TargetLimits = ANYWHERE) -> str | None:
        """Why a host must not even be resolved, None if its addresses decide."""
        for each in (self._limits, limits):
            if setting := _forbids_name(each, place):
                return f"target {place.host} is not allowed ({each.whose.format(setting)})"
        return None

    def refusal(self, place: Place, address: Address, limits: TargetLimits = ANYWHERE) -> str | None:
        """Why a job may not connect to this address of the host, None if it may."""
        target = place.host if address_in(place.host) else f"{place.host} leads to {address}, which"
        if words := self._is_ours(place, address):
            return f"target {target} is {words}"
        for each in (self._limits, limits):
            if setting := self._forbids(each, place, address):
                return f"target {target} is not allowed ({each.whose.format(setting)})"
        return None

    def _judge_url(self, url: str, limits: TargetLimits) -> str | None:
        if "__" in url:
            return None
        try:
            place = place_of(url)
        except ValueError:
            return None
        address = address_in(place.host)
        if address is None:
            return self.refusal_of_name(place, limits)
        return self.refusal(place, address, limits)

    def _is_ours(self, place: Place, address: Address) -> str | None:
        """What of the server itself this is: its listener, its database."""
        around = self._surroundings
        addresses = judged(address)
        if place.port == around.own_port and any(map(around.is_own, addresses)):
            return "this server itself, where no job may go"
        for database in around.databases:
            if place.port == database.port and (
                plain_name(place.host) == plain_name(database.host)
                or any(self._is_same_machine(one, other) for one in addresses for other in database.addresses)
            ):
                return "this server's database, where no job may go"
        return None

    def _is_same_machine(self, one: Address, other: Address) -> bool:
        is_own = self._surroundings.is_own
        return one == other or (is_own(one) and is_own(other))

    def _forbids(self, limits: TargetLimits, place: Place, address: Address) -> str | None:
        """The setting of these limits that forbids the address, None if they allow it."""
        forms = (address, *judged(address))
        if any(_means(item, place, form) for item in limits.deny for form in forms):
            return "http_deny"
        if _is_metadata_name(limits, place):
            return "http_targets"
        return None if all(self._allows(limits, place, address, form) for form in forms[1:]) else "http_targets"

    def _allows(self, limits: TargetLimits, place: Place, address: Address, form: Address) -> bool:
        is_on_loopback = self._surroundings.is_on_loopback
        return is_open(limits.mode, form, is_on_loopback=is_on_loopback) or any(
            (_means(item, place, form) or _means(item, place, address))
            and opens(item, place.host, form, is_on_loopback=is_on_loopback)
            for item in limits.allow
        )


def _items(setting: str, texts: Sequence[str]) -> tuple[TargetItem, ...]:
    return tuple(_item(setting, text) for text in texts)


def _item(setting: str, text: str) -> TargetItem:
    try:
        return read_item(text)
    except ValueError as error:
        raise InvalidSetting(f"{setting}: {text!r} {error}") from None


def _means(item: TargetItem, place: Place, address: Address) -> bool:
    return item.holds(address, place.port) or item.names(*place)


def _forbids_name(limits: TargetLimits, place: Place) -> str | None:
    """The setting that forbids a name before it is resolved."""
    if any(item.names(*place) for item in limits.deny):
        return "http_deny"
    if _is_metadata_name(limits, place):
        return "http_targets"
    if limits.mode != "allowlist" or any(item.names(*place) or _may_hold(item, place) for item in limits.allow):
        return None
    return "http_targets"


def _may_hold(item: TargetItem, place: Place) -> bool:
    """Whether the addresses of a name may be meant."""
    return item.network is not None and item.port in (None, place.port)


def _is_metadata_name(limits: TargetLimits, place: Place) -> bool:
    """Whether it is the name of a metadata service that is not listed itself."""
    name = plain_name(place.host)
    return limits.mode is not None and name in METADATA_NAMES and all(item.name != name for item in limits.allow)
