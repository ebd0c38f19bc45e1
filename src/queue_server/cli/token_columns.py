"""How API tokens look."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from queue_server.cli.human import age, moment
from queue_server.cli.printers import Shape
from queue_server.cli.tables import Column, Fact
from queue_server.client.results import Result
from queue_server.clock import Clock

STATE_STYLES: Mapping[str, str] = {"active": "green", "expired": "yellow", "revoked": "red"}


class TokenItem(Result, frozen=True, kw_only=True):
    """A token as the server shows it. `token` is its text, in the two answers that have it."""

    id: int
    name: str
    state: str
    scopes: tuple[str, ...]
    created_at: datetime
    contexts: tuple[str, ...] | None = None
    queues: tuple[str, ...] | None = None
    http_targets: str | None = None
    http_allow: tuple[str, ...] = ()
    http_deny: tuple[str, ...] = ()
    expires_at: datetime | None = None
    old_until: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None
    token: str = ""


def token_shape(clock: Clock) -> Shape[TokenItem]:
    """Tokens as rows; ages are those at this moment."""
    now = datetime.fromtimestamp(clock.now() / 1_000_000, UTC)
    columns = (
        Column[TokenItem]("id", lambda it: str(it.id), lambda _: "bold", justify="right"),
        Column[TokenItem]("name", lambda it: it.name, fit="cut"),
        Column[TokenItem]("state", lambda it: it.state, lambda it: STATE_STYLES.get(it.state, "")),
        Column[TokenItem]("scopes", lambda it: ",".join(it.scopes)),
        Column[TokenItem]("bound to", bounds, fit="cut"),
        Column[TokenItem]("expires", lambda it: day(it.expires_at)),
        Column[TokenItem]("used", lambda it: ago(it.last_used_at, now), lambda _: "dim", justify="right"),
        Column[TokenItem]("age", lambda it: age(it.created_at, now), lambda _: "dim", justify="right"),
    )
    return Shape(TokenItem, columns)


def token_facts(token: TokenItem) -> Iterator[Fact]:
    """All about one token."""
    yield Fact("token", str(token.id), "bold")
    yield Fact("name", token.name)
    yield Fact("state", token.state, STATE_STYLES.get(token.state, ""))
    yield Fact("scopes", ", ".join(token.scopes))
    yield from _named("contexts", token.contexts)
    yield from _named("queues", token.queues)
    yield from _named("http_targets", token.http_targets and (token.http_targets,))
    yield from _named("http_allow", token.http_allow)
    yield from _named("http_deny", token.http_deny)
    yield Fact("created", moment(token.created_at))
    for name, time in (
        ("expires", token.expires_at),
        ("old text until", token.old_until),
        ("revoked", token.revoked_at),
        ("last used", token.last_used_at),
    ):
        if time is not None:
            yield Fact(name, moment(time))


def bounds(token: TokenItem) -> str:
    """What jobs it is bound to, in one line; nothing if it is not."""
    contexts = [f"context {name}" for name in token.contexts or ()]
    return ", ".join([*contexts, *(f"queue {name}" for name in token.queues or ())])


def ago(then: datetime | None, now: datetime) -> str:
    """How long ago that was; `never` if it was not."""
    return "never" if then is None else age(then, now)


def day(time: datetime | None) -> str:
    """The day in UTC; `never` for none."""
    return "never" if time is None else time.astimezone(UTC).strftime("%Y-%m-%d")


def _named(name: str, values: tuple[str, ...] | str | None) -> Iterator[Fact]:
    if values:
        yield Fact(name, ", ".join(values))
