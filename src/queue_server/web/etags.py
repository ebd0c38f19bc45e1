"""ETags in the conditions of requests."""


def names_tag(condition: str, tag: str) -> bool:
    """Whether an If-None-Match (RFC 9110 section 13.1.2) names this tag, by weak comparison."""
    return condition.strip() == "*" or tag in (name.strip().removeprefix("W/") for name in condition.split(","))
