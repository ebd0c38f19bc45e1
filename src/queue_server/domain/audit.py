"""What is kept of each management action: who did what to what, when, from where."""

import msgspec


class Act(msgspec.Struct, frozen=True, kw_only=True):
    """One action that has been carried out, or begun where it takes long.

    `who` is a token's name, or everybody's; `action` is the request's operation id in the OpenAPI document, or a
    command's name; `target` says on what; `count` on how many, None where that is one.
    """

    at: int
    who: str
    token_id: int | None
    address: str
    action: str
    target: str
    count: int | None = None
    details: str = ""
    id: int = 0
