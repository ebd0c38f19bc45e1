"""Cursors: where a page of a list ended, as a short text that can stand in a URL.

A checksum tells a cursor that was cut or typed from a real one. It is no signature: a cursor only names a place in a
list, and whoever makes one up sees nothing that the list would not show.
"""

import base64
import struct
import zlib

from queue_server.store.contract import Order, Position

_LETTERS = {
    Order.NEWEST: b"n",
    Order.OLDEST: b"o",
    Order.ENDED_LAST: b"e",
    Order.ENDED_FIRST: b"f",
    Order.DUE: b"d",
}
_ORDERS = {letter: order for order, letter in _LETTERS.items()}
_PLACE = struct.Struct(">cqq")
_SUM = struct.Struct(">I")
_SEED = zlib.crc32(b"queue-server list cursor 1")


def cursor_of(order: Order, position: Position) -> str:
    """The cursor for the page that begins after `position`. Its numbers have at most 64 bits."""
    place = _PLACE.pack(_LETTERS[order], position.value, position.id)
    return base64.urlsafe_b64encode(place + _SUM.pack(zlib.crc32(place, _SEED))).decode()


def place_of(cursor: str) -> tuple[Order, Position]:
    """The order and the position that a cursor was made of; ValueError if it is none."""
    data = base64.urlsafe_b64decode(cursor)
    if len(data) != _PLACE.size + _SUM.size or data[:1] not in _ORDERS:
        raise ValueError("not a cursor")
    letter, value, id_ = _PLACE.unpack_from(data)
    order, position = _ORDERS[letter], Position(value, id_)
    if cursor_of(order, position) != cursor:
        raise ValueError("not the cursor of its place")
    return order, position
