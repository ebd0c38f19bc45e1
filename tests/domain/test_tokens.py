import hashlib
import os
import re

import pytest

from queue_server.domain.access import Right
from queue_server.domain.errors import InvalidJob
from queue_server.domain.reading import read_as
from queue_server.domain.tokens import (
    RANDOM_BYTES,
    SECOND,
    TargetRules,
    Token,
    TokenRequest,
    TokenState,
    digest_of,
    new_token,
    token_text,
)
from tests.builders.jobs import NOW

DIGEST = b"d" * 32


def token(**members) -> Token:
    required = {"id": 1, "name": "ci", "digest": DIGEST, "scopes": (Right.ADD,), "created_at": NOW}
    return Token(**(required | members))


def problems_of(request: bytes) -> list[str]:
    with pytest.raises(InvalidJob) as refused:
        new_token(read_as(request, TokenRequest), DIGEST, NOW)
    return [problem.path for problem in refused.value.problems]


def made(request: bytes):
    return new_token(read_as(request, TokenRequest), DIGEST, NOW)


@pytest.mark.parametrize("byte", [b"\x00", b"\x7f", b"\xff"])
def test_text_is_one_word_of_one_length(byte):
    random = byte * RANDOM_BYTES
    assert re.fullmatch(r"qs_[0-9A-Za-z]{43}", token_text(random))


def test_text_tells_every_bit():
    number = int.from_bytes(os.urandom(RANDOM_BYTES))
    texts = {token_text((number ^ (1 << bit)).to_bytes(RANDOM_BYTES)) for bit in range(8 * RANDOM_BYTES)}
    assert len(texts) == 8 * RANDOM_BYTES
    digits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    read = 0
    for digit in token_text(number.to_bytes(RANDOM_BYTES)).removeprefix("qs_"):
        read = read * 62 + digits.index(digit)
    assert read == number


def test_digest_is_sha_256():
    assert digest_of(b"qs_x") == hashlib.sha256(b"qs_x").digest()


def test_name_is_enough():
    got = made(b'{"name":"ci"}')
    assert (got.name, got.digest, got.created_at) == ("ci", DIGEST, NOW)
    assert got.scopes == (Right.ADD, Right.READ)
    assert (got.contexts, got.queues, got.targets, got.expires_at) == (None, None, None, None)


def test_all_that_is_given_is_kept():
    got = made(
        b'{"name":"a.B_c-9","scopes":["read","add:exec","read"],"contexts":["shop",""],"queues":["mail"],'
        b'"http_targets":"public","http_allow":[".example.com:443"],"http_deny":["10.0.0.0/8"],"ttl":1.5}'
    )
    assert got.scopes == (Right.READ, Right.ADD_EXEC)
    assert (got.contexts, got.queues) == (("shop", ""), ("mail",))
    assert got.targets == TargetRules("public", (".example.com:443",), ("10.0.0.0/8",))
    assert got.expires_at == NOW + 3 * SECOND // 2


def test_expiry_may_be_a_time():
    assert made(b'{"name":"ci","expires_at":"2033-01-01T00:00:00+01:00"}').expires_at == 1_988_146_800 * SECOND


@pytest.mark.parametrize(
    ("request_", "path"),
    [
        (b"{}", "/name"),
        (b'{"name":""}', "/name"),
        (b'{"name":"a b"}', "/name"),
        (b'{"name":"\xc3\xa9t\xc3\xa9"}', "/name"),
        (b'{"name":"a\\n"}', "/name"),
        (b'{"name":"%s"}' % (b"x" * 65), "/name"),
        (b'{"name":7}', "/name"),
        (b'{"name":"12"}', "/name"),
        (b'{"name":"admin_token"}', "/name"),
        (b'{"name":"everybody"}', "/name"),
        (b'{"name":"a","scopes":[]}', "/scopes"),
        (b'{"name":"a","scopes":["write"]}', "/scopes"),
        (b'{"name":"a","scopes":"add"}', "/scopes"),
        (b'{"name":"a","contexts":[]}', "/contexts"),
        (b'{"name":"a","contexts":["a\\u0000"]}', "/contexts"),
        (b'{"name":"a","queues":["a b"]}', "/queues"),
        (b'{"name":"a","http_targets":"all"}', "/http_targets"),
        (b'{"name":"a","http_allow":["a b"]}', "/http_allow"),
        (b'{"name":"a","http_allow":["a.example","10.0.0.1/8"]}', "/http_allow/1"),
        (b'{"name":"a","http_deny":["a.example:99999"]}', "/http_deny/0"),
        (b'{"name":"a","http_deny":[""]}', "/http_deny"),
        (b'{"name":"a","ttl":0}', "/ttl"),
        (b'{"name":"a","ttl":1e300}', "/ttl"),
        (b'{"name":"a","ttl":0.9}', "/ttl"),
        (b'{"name":"a","ttl":5,"expires_at":"2033-01-01T00:00:00Z"}', "/ttl"),
        (b'{"name":"a","expires_at":"2001-01-01T00:00:00Z"}', "/expires_at"),
        (b'{"name":"a","expires_at":"tomorrow"}', "/expires_at"),
        (b'{"name":"a","expires_at":"2033-01-01T00:00:00"}', "/expires_at"),
        (b'{"name":"a","expires_at":"0001-01-01T00:00:00+10:00"}', "/expires_at"),
        (b'{"name":"a","colour":"red"}', "/colour"),
    ],
)
def test_mistake_is_named_by_its_member(request_, path):
    assert problems_of(request_) == [path]


def test_every_mistake_is_told():
    assert problems_of(b'{"name":"7","ttl":5,"expires_at":"2033-01-01T00:00:00Z"}') == ["/name", "/ttl"]


@pytest.mark.parametrize(
    "limit", ['"contexts":["a"]', '"queues":["a"]', '"http_targets":"public"', '"http_deny":["a"]']
)
def test_admin_is_not_limited_since_it_could_make_itself_another_token(limit):
    member = limit.split('"')[1]
    assert problems_of(f'{{"name":"a","scopes":["read","admin"],{limit}}}'.encode()) == [f"/{member}"]
    made(f'{{"name":"a","scopes":["read"],{limit}}}'.encode())


@pytest.mark.parametrize(
    ("members", "state"),
    [
        ({}, TokenState.ACTIVE),
        ({"expires_at": NOW + 1}, TokenState.ACTIVE),
        ({"expires_at": NOW}, TokenState.EXPIRED),
        ({"revoked_at": NOW}, TokenState.REVOKED),
        ({"revoked_at": NOW, "expires_at": NOW}, TokenState.REVOKED),
    ],
)
def test_token_works_until_it_expires_or_is_revoked(members, state):
    assert token(**members).state(NOW) is state


def test_access_holds_what_the_scopes_hold():
    access = token(scopes=(Right.ADD_EXEC,), contexts=("a",), queues=("q", "r")).access
    assert (access.name, access.token_id) == ("ci", 1)
    assert access.scopes == {Right.ADD_EXEC, Right.ADD}
    assert (access.contexts, access.queues) == ({"a"}, {"q", "r"})
    assert not token().access.is_bound
