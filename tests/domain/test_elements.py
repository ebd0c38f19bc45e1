"""The ends of a JSON array's elements are found wherever the pieces of the array end."""

import json

import pytest
from hypothesis import strategies as st

from queue_server.domain.elements import STEP, ElementScanner
from tests.builders.properties import for_all
from tests.builders.strategies import anything


def elements(text: bytes, *cuts: int) -> list[bytes]:
    """The elements of an array, the bracket of which has been read, as they are found while it arrives."""
    scanner, data, at, found = ElementScanner(), bytearray(), 0, list[bytes]()
    for begin, end in zip((0, *cuts), (*cuts, len(text)), strict=True):
        data += text[begin:end]
        while True:
            place = scanner.end_of(data, at)
            if place is not None:
                found.append(bytes(data[at:place]))
                at = place + 1
                if data[place : place + 1] == b"]":
                    return found
            elif scanner.is_waiting:
                break
        del data[:at]
        at = 0
    return found


TRICKY = [
    b'{"a":"]"},{"b":"}"},["[",","],"{",1,-2.5e9,null,true]',
    rb'"\"","\\","\\\"]","\\\\",{"\"]":"\\"},"]\\"]',
    '"ä","€,","😀]",{"ü":["ö"]}]'.encode(),
    b" 1 ,\n{ } ,\t[ ] ]",
    b"]",
    b",,]",
    b'{"a":1]]',
    b"},{}]",
]


@pytest.mark.parametrize("text", TRICKY)
def test_elements_are_the_same_wherever_the_text_is_cut(text):
    whole = elements(text)
    assert [elements(text, cut) for cut in range(len(text))] == [whole] * len(text)
    assert elements(text, *range(1, len(text))) == whole


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (TRICKY[0], [b'{"a":"]"}', b'{"b":"}"}', b'["[",","]', b'"{"', b"1", b"-2.5e9", b"null", b"true"]),
        (TRICKY[1], [rb'"\""', rb'"\\"', rb'"\\\"]"', rb'"\\\\"', rb'{"\"]":"\\"}', rb'"]\\"']),
        (b'{"a":1]]', [b'{"a":1]']),
        (b"},{}]", [b"}", b"{}"]),
        (b'"never closed,]', []),
        (b"[[[1", []),
    ],
)
def test_elements_are_what_stands_between_commas(text, found):
    assert elements(text) == found


def test_long_element_takes_several_steps():
    scanner, data = ElementScanner(), bytearray(b"[" * STEP + b"]" * STEP + b",")
    assert [scanner.end_of(data, 0), scanner.is_waiting] == [None, False]
    assert [scanner.end_of(data, 0), scanner.end_of(data, 0)] == [None, 2 * STEP]


def test_place_is_kept_while_the_buffer_moves():
    scanner, data = ElementScanner(), bytearray(b'1,"a')
    assert scanner.end_of(data, 0) == 1
    assert scanner.end_of(data, 2) is None
    del data[:2]
    data += b',",2]'
    assert scanner.end_of(data, 0) == 4


@for_all(st.lists(anything, max_size=5), st.lists(st.integers(0, 200), max_size=4), st.sampled_from([None, 1]))
def test_any_array_has_its_elements_wherever_it_is_cut(values, cuts, indent):
    text = json.dumps(values, indent=indent, ensure_ascii=False).encode("utf-8", "surrogatepass")[1:]
    inside = sorted({cut for cut in cuts if cut < len(text)})
    found = [part.strip() for part in elements(text, *inside)]
    again = [json.loads(part.decode("utf-8", "surrogatepass")) for part in found if part]
    assert json.dumps(again) == json.dumps(values)
