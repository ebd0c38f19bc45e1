"""The settings as data: name, flag, variable, type, default and the words for what is allowed.

Everything that treats settings alike (loading, flags, `config show`, the docs) works from this list, so a new
member of Settings is complete the moment it is written.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Literal, get_args, get_origin

import msgspec

from queue_server.config.settings import TABLES, Settings
from queue_server.config.units import (
    LONGEST_DURATION_S,
    format_duration,
    format_size,
    parse_duration,
    parse_size,
)

VARIABLE_PREFIX = "QUEUE_SERVER_"
Unit = Literal["duration", "size", "list", "secret"]
MASKED = "***"


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One setting. `type` is what msgspec converts to, bounds included; `base` is the same without them."""

    name: str
    type: Any
    base: Any
    default: Any
    description: str
    unit: Unit | None
    bounds: dict[str, Any]

    @property
    def flag(self) -> str:
        """Its option on the command line."""
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        """Its environment variable."""
        return VARIABLE_PREFIX + self.name.upper()

    @property
    def choices(self) -> tuple[str, ...]:
        """The words that are allowed, if only some are."""
        return get_args(self.base) if get_origin(self.base) is Literal else ()

    @property
    def allowed(self) -> str:
        """What a value must be, to complete the sentence "… is not"."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        match self.unit:
            case "duration":
                return f"a duration{self._range()} such as 90, 500ms, 15m, 12h or 7d"
            case "size":
                return f"a size{self._range()} such as 1048576, 512KiB or 1MiB"
            case "list":
                return "a list of texts"
            case "secret" | None:
                return self._plain_words()

    def read(self, value: object) -> Any:
        """The value as the setting's type. A text may carry a unit. ValueError if it is not allowed."""
        is_text = isinstance(value, str)
        if is_text:
            value = _READ.get(self.unit, _as_it_is)(value)
        read = msgspec.convert(value, self.type, strict=not is_text)
        if self.unit == "duration" and not read <= LONGEST_DURATION_S:
            raise ValueError(value)
        return read

    def format(self, value: Any) -> str:
        """The value as a person would write it."""
        match self.unit:
            case "duration":
                return format_duration(value)
            case "size":
                return format_size(value)
            case "list":
                return ", ".join(value)
            case "secret":
                return MASKED if value else ""
            case None:
                return str(value).lower() if isinstance(value, bool) else str(value)

    def _plain_words(self) -> str:
        if self.base is bool:
            return "true or false"
        if self.base is str:
            longest = self.bounds.get("max_length")
            return f"a text of at most {longest} characters" if longest else "a text"
        return f"a {'whole ' if self.base is int else ''}number{self._range()}"

    def _range(self) -> str:
        above, least, most = (self.bounds.get(bound) for bound in ("gt", "ge", "le"))
        if above is not None:
            return f" above {above}"
        if least is not None and most is not None:
            return f" from {least} to {most}"
        return f" of at least {least}" if least else ""


def _as_it_is(text: str) -> object:
    return text


def _parts(text: str) -> tuple[str, ...]:
    return tuple(text.replace(",", " ").split())


_READ: Mapping[Unit | None, Callable[[str], object]] = {
    "duration": parse_duration,
    "size": parse_size,
    "list": _parts,
}


@cache
def catalog() -> Mapping[str, Setting]:
    """Every setting by name, in the order of Settings."""
    return {field.name: _setting(field) for field in msgspec.structs.fields(Settings) if field.name not in TABLES}


def _setting(field: msgspec.structs.FieldInfo) -> Setting:
    described: dict[str, Any] = {}
    for meta in field.type.__metadata__:
        described |= {name: value for name in _FACTS if (value := getattr(meta, name)) is not None}
    return Setting(
        name=field.name,
        type=field.type,
        base=field.type.__origin__,
        default=field.default,
        description=described.pop("description", ""),
        unit=described.pop("extra", {}).get("unit"),
        bounds=described,
    )


_FACTS = ("description", "extra", "gt", "ge", "lt", "le", "min_length", "max_length")
