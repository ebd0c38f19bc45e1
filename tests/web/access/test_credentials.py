"""Where a token may stand in the header Authorization."""

from base64 import b64encode

import pytest

from queue_server.web.access.credentials import TOKEN_LIMIT, tokens_in


@pytest.mark.parametrize(
    ("header", "tokens"),
    [
        (b"Bearer qs_a", (b"qs_a",)),
        (b"bearer   qs_a ", (b"qs_a",)),
        (b"Basic " + b64encode(b"qs_a:"), (b"qs_a",)),
        (b"basic " + b64encode(b"qs_a"), (b"qs_a",)),
        (b"Basic " + b64encode(b":qs_a"), (b"qs_a",)),
        (b"Basic " + b64encode(b"michael:qs_a"), (b"michael", b"qs_a")),
        (b"Basic " + b64encode(b"a:b:c"), (b"a", b"b:c")),
        (b"Basic " + b64encode(b":"), ()),
        (b"Basic !!!", ()),
        (b"Basic", ()),
        (b"Bearer", ()),
        (b"Bearer ", ()),
        (b"", ()),
        (b"Digest username=x", ()),
        (b"qs_a", ()),
        (b"Bearer " + b"x" * (TOKEN_LIMIT + 1), ()),
        (b"Bearer \xff\x00", (b"\xff\x00",)),
    ],
)
def test_token_is_found_where_clients_put_it(header, tokens):
    assert tokens_in(header) == tokens
