"""Reading the bytes of an event stream as a client does, strictly: what the format does not know is an error."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Told:
    """One event of a stream. A comment has the name `:`; a frame without data has none."""

    id: str
    name: str
    data: Any

    @property
    def number(self) -> int:
        return int(self.id.rpartition("-")[2])


def told(stream: bytes) -> list[Told]:
    """All events of a stream that ends with a whole one."""
    assert not stream or stream.endswith(b"\n\n"), stream[-200:]
    return list(_frames(stream.decode()))


def events_in(stream: bytes) -> list[Told]:
    """Those that are neither comments nor empty."""
    return [one for one in told(stream) if one.name not in ("", ":")]


def _frames(text: str) -> Iterator[Told]:
    last_id = ""
    for block in text.split("\n\n")[:-1]:
        name, data = "", None
        for line in block.split("\n"):
            field, _, value = line.partition(": ")
            match field:
                case "id":
                    last_id = value
                case "event":
                    name = value
                case "data":
                    assert data is None, block
                    data = json.loads(value)
                case "retry":
                    assert value.isdigit()
                case "":
                    name, data = ":", value
                case _:
                    raise AssertionError(f"no field of an event stream: {line!r}")
        assert (data is None) == (not name), block
        yield Told(last_id, name, data)
