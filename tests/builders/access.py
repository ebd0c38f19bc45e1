"""Who asks: accesses as tokens give them."""

from collections.abc import Iterable

from hypothesis import strategies as st

from queue_server.domain.access import Access, Right, held
from tests.builders.lists import CONTEXTS, QUEUES


def access(
    *rights: Right,
    name: str = "shop-web",
    contexts: Iterable[str] | None = None,
    queues: Iterable[str] | None = None,
    token_id: int | None = 7,
) -> Access:
    """What a token gives; all rights where none is named."""
    return Access(
        name=name,
        scopes=held(rights or (Right.ADMIN,)),
        contexts=None if contexts is None else frozenset(contexts),
        queues=None if queues is None else frozenset(queues),
        token_id=token_id,
    )


def _binding(values: Iterable[str]) -> st.SearchStrategy[frozenset[str] | None]:
    return st.none() | st.frozensets(st.sampled_from([*values, "none"]), min_size=1)


accesses = st.builds(access, contexts=_binding(CONTEXTS), queues=_binding(QUEUES))
"""Accesses with all rights, bound to any of the contexts and queues of `populated`, or to none."""
