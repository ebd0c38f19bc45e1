"""Query parameters, read into a struct; every one that is wrong is told at once."""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from queue_server.domain.errors import InvalidJob, Problem
from queue_server.domain.reading import words_for

T = TypeVar("T", bound=msgspec.Struct)


def read_query(parameters: Mapping[str, str], struct: type[T]) -> T:
    """The parameters as a struct; InvalidJob with a problem for each that is unknown or has no such type."""
    fields = {field.encode_name: field for field in msgspec.structs.fields(struct)}
    problems: list[Problem] = []
    values: dict[str, Any] = {}
    for name, text in parameters.items():
        field = fields.get(name)
        if field is None:
            known = ", ".join(fields)
            problems.append(Problem(f"/{name}", f"is not a known parameter; known are {known}"))
            continue
        try:
            values[field.name] = _read(text, field.type)
        except msgspec.ValidationError as error:
            problems.append(Problem(f"/{name}", words_for(error, field.type)))
    if problems:
        raise InvalidJob(problems)
    return struct(**values)


def _read(text: str, type_: Any) -> Any:
    """The text as the type; msgspec.ValidationError if it isn't one. A whole number is digits: not 1e3, not 5.0."""
    value = msgspec.convert(text, type_, strict=False)
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if is_whole and not (text.isascii() and text.removeprefix("-").isdigit()):
        return msgspec.convert(text, type_)
    return value
