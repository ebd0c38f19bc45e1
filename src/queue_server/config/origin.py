"""Where a setting's value came from."""

from typing import Any, Literal

import msgspec

Kind = Literal["flag", "variable", "file", "default"]


class Origin(msgspec.Struct, frozen=True):
    """What gives a value: a flag, an environment variable, a line of the settings file, or the default."""

    kind: Kind
    place: str = ""
    line: int | None = None

    def __str__(self) -> str:
        if self.kind == "default":
            return "default"
        return f"{self.place} line {self.line}" if self.line else self.place


class Given(msgspec.Struct, frozen=True):
    """A value for the setting `name` as it was found, not yet read."""

    name: str
    value: Any
    origin: Origin


DEFAULT = Origin("default")
