"""What a type consists of: the structs and enumerations in it, and the sentences that its members carry."""

from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Any

import msgspec
from msgspec import UnsetType


def classes_in(types: Iterable[Any]) -> dict[str, type[Any]]:
    """The structs and enumerations in these types, and those in them in turn, by name; ValueError if two share one."""
    found: dict[str, type[Any]] = {}
    left = [*types]
    while left:
        type_ = left.pop()
        if not isinstance(type_, type) or not issubclass(type_, (msgspec.Struct, Enum)):
            left += parts_of(type_)[1:]
        elif type_.__name__ not in found:
            found[type_.__name__] = type_
            left += [field.type for field in _fields(type_)]
        elif found[type_.__name__] is not type_:
            raise ValueError(f"two types are called {type_.__name__}")
    return found


def optional_members(type_: type[Any]) -> frozenset[str]:
    """The members of a struct that an object may lack."""
    return frozenset(
        field.encode_name for field in _fields(type_) if not field.required or UnsetType in parts_of(field.type)
    )


def sentences_of(type_: type[Any]) -> dict[str, str]:
    """What the annotations of a struct's members say of them: a description, else what is expected there."""
    return {
        field.encode_name: sentence for field in _fields(type_) if (sentence := sentence_of(field.type)) is not None
    }


def sentence_of(type_: Any) -> str | None:
    """What an annotated type says of itself, also inside a union."""
    metas = [meta for part in parts_of(type_) for meta in getattr(part, "__metadata__", ())]
    descriptions = [meta.description for meta in metas if meta.description]
    expected = [f"{meta.extra['expected']}." for meta in metas if meta.extra and "expected" in meta.extra]
    return next(iter([*descriptions, *(text[0].upper() + text[1:] for text in expected)]), None)


def parts_of(type_: Any) -> list[Any]:
    """The type, and what it is a union, a container or an annotation of."""
    return [type_, *_arguments(type_)]


def _arguments(type_: Any) -> Iterator[Any]:
    for argument in getattr(type_, "__args__", ()):
        yield argument
        yield from _arguments(argument)


def _fields(type_: type[Any]) -> tuple[msgspec.structs.FieldInfo, ...]:
    return msgspec.structs.fields(type_) if issubclass(type_, msgspec.Struct) else ()
