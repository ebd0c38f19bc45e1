"""The members of a filter of jobs, with what their documentation says of them."""

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from queue_server.domain.job import Context, QueueName, ShortText, Tags
from queue_server.domain.state import State
from queue_server.operations.look import ID_LIMIT
from queue_server.store.contract import Order

PAGE_DEFAULT, PAGE_LIMIT = 50, 1000
IDS_LIMIT = 10_000

Type = Annotated[
    Literal["http", "exec"], Meta(description="The type of the command.", extra={"expected": "http or exec"})
]
Id = Annotated[int, Meta(ge=1, lt=ID_LIMIT, extra={"expected": "the id of a job"})]
Time = Annotated[str, Meta(extra={"expected": "a text: an RFC 3339 time such as 2026-11-24T09:30:00Z"})]
States = Annotated[
    State | Annotated[list[State], Meta(min_length=1)],
    Meta(description="A state, or a list of them.", extra={"expected": f"one or a list of {', '.join(State)}"}),
]
Ids = Annotated[
    list[Id],
    Meta(
        max_length=IDS_LIMIT,
        description="Jobs that are meant, if they fulfil the rest as well.",
        extra={"expected": f"a list of at most {IDS_LIMIT} ids of jobs"},
    ),
]


class SharedMembers(msgspec.Struct, frozen=True, kw_only=True):
    """What filters of both kinds can say."""

    type: Type | UnsetType = UNSET
    queue: Annotated[QueueName, Meta(description="The queue.")] | UnsetType = UNSET
    context: Annotated[Context, Meta(description="The context.")] | UnsetType = UNSET
    key: Annotated[ShortText, Meta(description="The key.")] | UnsetType = UNSET
    parent_id: Annotated[Id, Meta(description="The job whose end these jobs report.")] | UnsetType = UNSET
    created_after: Annotated[Time, Meta(description="Created at this time or later.")] | UnsetType = UNSET
    created_before: Annotated[Time, Meta(description="Created before this time.")] | UnsetType = UNSET
    ended_after: Annotated[Time, Meta(description="Ended at this time or later.")] | UnsetType = UNSET
    ended_before: Annotated[Time, Meta(description="Ended before this time.")] | UnsetType = UNSET


class ListParameters(SharedMembers, frozen=True, kw_only=True):
    """The parameters of the list, but for those of tags (`tag.NAME`)."""

    state: (
        Annotated[str, Meta(description=f"One or several, separated by commas, of {', '.join(State)}.")] | UnsetType
    ) = UNSET
    sort: Annotated[
        Order,
        Meta(
            description="By id, by end (lists only jobs that have ended) or by due time (lists only scheduled ones). "
            "With a minus the latest come first.",
            extra={"expected": f"one of {', '.join(Order)}"},
        ),
    ] = Order.NEWEST
    limit: Annotated[
        int,
        Meta(
            ge=1,
            le=PAGE_LIMIT,
            description="How many jobs a page may hold. It may hold fewer, even none, before the last page.",
            extra={"expected": f"a whole number from 1 to {PAGE_LIMIT}"},
        ),
    ] = PAGE_DEFAULT
    cursor: Annotated[str, Meta(description="`next_cursor` of the page before.")] | UnsetType = UNSET


class FilterMembers(SharedMembers, frozen=True, kw_only=True):
    """Which jobs: those that fulfil all that is given; `{}` means all. A tag may also be a member `tag.NAME`."""

    state: States | UnsetType = UNSET
    tags: Annotated[Tags, Meta(description="Tags that the job has with these values.")] | UnsetType = UNSET
    ids: Ids | UnsetType = UNSET
