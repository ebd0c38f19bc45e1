"""Where the elements of a JSON array end, found while the array is still arriving.

Only strings and brackets are looked at; whether an element is good JSON is seen when it is decoded. So a bad one has an
end too, and those after it are found.
"""

import re

STEP = 8 * 1024
"""Bytes that are looked at in one step: where they are nothing but brackets, that takes some milliseconds."""

_MARKS = re.compile(rb'["\[\]{},]').search
_INNER_MARKS = re.compile(rb'["\[\]{}]').search
_STRING_MARKS = re.compile(rb'["\\]').search
_QUOTE, _BRACE = b'"}'
_OPENING = b"[{"


class ElementScanner:
    """Finds the end of one element after the other. Places are relative to the element, so the buffer may move.

    It `is_waiting` when nothing is left to look at.
    """

    def __init__(self) -> None:
        self._offset = 0
        self._depth = 0
        self._is_in_string: bool = False
        self.is_waiting = False

    def end_of(self, data: bytearray, start: int) -> int | None:
        """The index of the comma or bracket behind the element that begins at `start`; None if a step has not found it.

        The next call goes on there, or with the next element once the end was found.
        """
        at, depth = start + self._offset, self._depth
        is_in_string: bool = self._is_in_string
        stop = min(at + STEP, len(data))
        while mark := (_STRING_MARKS if is_in_string else _INNER_MARKS if depth else _MARKS)(data, at, stop):
            at = mark.end()
            byte = data[at - 1]
            if byte == _QUOTE:
                is_in_string = not is_in_string
            elif is_in_string:
                at += 1  # a backslash and what it escapes, also if that is yet to come
            elif byte in _OPENING:
                depth += 1
            elif depth:
                depth -= 1
            elif byte != _BRACE:  # one that closes nothing is part of the element, which will not decode
                self._offset, self._depth, self._is_in_string, self.is_waiting = 0, 0, False, False
                return at - 1
        self._offset, self._depth, self._is_in_string = max(at, stop) - start, depth, is_in_string
        self.is_waiting = stop == len(data)
        return None
