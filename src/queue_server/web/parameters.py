"""Query parameters, read into a struct; every one that is wrong is told at once."""

from collections.abc import Mapping
from types import NoneType
from typing import Any, TypeVar, Union, get_args

import msgspec
from starlette.requests import Request

from queue_server.domain.checks import escape_pointer
from queue_server.domain.errors import InvalidJob, Problem
from queue_server.domain.reading import words_for

T = TypeVar("T", bound=msgspec.Struct)

PARAMETERS_LIMIT = 100
"""Parameters of one query."""


def single_parameters(request: Request) -> Mapping[str, str]:
    """The query; InvalidJob if a parameter is given more than once: which of them is meant nobody can know."""
    if request.scope["query_string"].count(b"&") >= PARAMETERS_LIMIT:
        raise InvalidJob([Problem("", f"The query has more than {PARAMETERS_LIMIT} parameters")])
    given = request.query_params.multi_items()
    parameters = dict(given)
    if len(parameters) < len(given):
        repeated = sorted(name for name in parameters if len(request.query_params.getlist(name)) > 1)
        raise InvalidJob([Problem(f"/{escape_pointer(name)}", "is given more than once") for name in repeated])
    return parameters


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
    value = msgspec.convert(text, _without_null(type_), strict=False)
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if is_whole and not (text.isascii() and text.removeprefix("-").isdigit()):
        return msgspec.convert(text, type_)
    return value


def _without_null(type_: Any) -> Any:
    """The type without None: a query has no null, which msgspec would otherwise read from the text `null`."""
    options = get_args(type_)
    if NoneType not in options:
        return type_
    return Union[tuple(option for option in options if option is not NoneType)]  # noqa: UP007 (made at run time)
