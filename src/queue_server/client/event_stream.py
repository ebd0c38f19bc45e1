"""The format of server-sent events (WHATWG HTML, section 9.2.6), from bytes to frames."""

from collections.abc import Iterator

import msgspec


class Frame(msgspec.Struct, frozen=True):
    """One event as it was sent. `id` is the last one seen, to resume from."""

    event: str
    data: str
    id: str


class FrameParser:
    """Takes bytes as they come and gives the frames that are complete; `last_id` is that of the last one."""

    def __init__(self, last_id: str = "") -> None:
        self.last_id = self._id = last_id
        self._rest = b""
        self._event = ""
        self._data: list[str] = []

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that end in these bytes."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            text = line.removesuffix(b"\r").decode("utf-8", "replace")
            if text:
                self._take(text)
            elif frame := self._dispatch():
                yield frame

    def _take(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "event":
                self._event = value
            case "data":
                self._data.append(value)
            case "id" if "\0" not in value:
                self._id = value
            case _:
                """A comment, or a field of a newer server."""

    def _dispatch(self) -> Frame | None:
        self.last_id = self._id
        frame = Frame(self._event or "message", "\n".join(self._data), self.last_id)
        has_something = bool(self._event or self._data)
        self._event, self._data = "", []
        return frame if has_something else None
