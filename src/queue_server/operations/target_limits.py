"""Where the jobs of a token may go."""

from collections.abc import Callable
from functools import lru_cache

from queue_server.domain.target_items import ANYWHERE, TargetLimits
from queue_server.domain.targets import TOKENS, token_limits
from queue_server.domain.tokens import TargetRules

REMEMBERED = 1024
NO_TARGET = TargetLimits(mode="allowlist", whose=TOKENS)


class LimitsOf:
    """The limits by a token's id; the same object while its rules are the same. Without a token, or rules, ANYWHERE."""

    def __init__(self, rules_of: Callable[[int], TargetRules | None]) -> None:
        self._rules_of = rules_of

    def __call__(self, token_id: int | None) -> TargetLimits:
        """The limits of one token."""
        rules = None if token_id is None else self._rules_of(token_id)
        return ANYWHERE if rules is None else _limits(rules)


@lru_cache(REMEMBERED)
def _limits(rules: TargetRules) -> TargetLimits:
    """Rules that can't be read any more allow nothing."""
    try:
        return token_limits(rules.http_targets, rules.http_allow, rules.http_deny)
    except ValueError:
        return NO_TARGET
