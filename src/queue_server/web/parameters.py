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
            values[field.name] = msgspec.convert(text, field.type, strict=False)
        except msgspec.ValidationError as error:
            problems.append(Problem(f"/{name}", words_for(error, field.type)))
    if problems:
        raise InvalidJob(problems)
    return struct(**values)
