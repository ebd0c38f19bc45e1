"""What JSON schemas have to say of jobs beyond their types: the rules of `domain/checks.py` as keywords.

By component, or by component and member; the keywords replace those that msgspec made, a reference all of them. Where a
rule is wider than keywords can say (a URL's host, codes in their order), the schema says the part that it can, and the
server the rest.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from queue_server.domain.checks import LOADER_VARIABLE
from queue_server.domain.command import QUERY_METHODS
from queue_server.domain.job import JobRequest
from queue_server.domain.revising import FIXED
from queue_server.domain.state import State
from queue_server.telemetry.events.event import EventType

Keywords = dict[str, Any]

TAG_NAME = "^[A-Za-z0-9._:-]{1,64}$"
NO_CONTROLS = "^[^\\x00-\\x1f\\x7f]*$"
NO_NUL = "^[^\\x00]*$"
BASE64 = "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"
HEADER_NAME = "^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"
HEADER_VALUE = "^[^\\x00-\\x08\\x0a-\\x1f\\x7f]*$"
OWN_HEADERS = "content-length", "transfer-encoding", "connection", "keep-alive", "upgrade", "te", "trailer"

TAG_VALUE: Keywords = {"type": "string", "maxLength": 255, "pattern": NO_CONTROLS}

_STATUS, _EXIT = "[1-5][0-9]{2}", "(?:1?[0-9]{1,2}|2[0-4][0-9]|25[0-5])"


def _codes(code: str) -> str:
    part = f"{code}(?: *- *{code})?"
    return f"^ *{part} *(?:, *{part} *)*$"


def _any_case(word: str) -> str:
    return "".join(f"[{letter.upper()}{letter}]" if letter.isalpha() else letter for letter in word)


def _not_both(one: str, other: str, *, may_be_null: tuple[str, ...] = ()) -> Keywords:
    """Not both members; one that is null counts as left out unless null is a value of it (`may_be_null`)."""
    given = {member: {"not": {"type": "null"}} for member in (one, other) if member not in may_be_null}
    return {"not": {"required": [one, other], "properties": given}}


def _just(one: str, *others: str) -> Keywords:
    absent = {other: {"type": "null"} for other in others}
    return {"required": [one], "properties": {one: {"not": {"type": "null"}}, **absent}}


_EXPECTED_STATUS: Keywords = {
    "anyOf": [
        {"type": "string", "pattern": _codes(_STATUS)},
        {"type": "integer", "minimum": 100, "maximum": 599},
        {"type": "null"},
    ],
    "examples": ["200-299,404"],
}
_EXPECTED_EXIT: Keywords = {
    "anyOf": [
        {"type": "string", "pattern": _codes(_EXIT)},
        {"type": "integer", "minimum": 0, "maximum": 255},
        {"type": "null"},
    ],
    "examples": ["0,2-4"],
}
_PARAMS_AS_FORM_ARE_THE_BODY: Keywords = {
    "not": {
        "required": ["params"],
        "properties": {
            "params": {"type": "object", "minProperties": 1},
            "method": {"not": {"enum": sorted(QUERY_METHODS)}},
        },
        "anyOf": [
            {"required": ["json"]},
            {"required": ["body"], "properties": {"body": {"type": "string"}}},
            {"required": ["body_base64"], "properties": {"body_base64": {"type": "string"}}},
        ],
    }
}
_CODE: Keywords = {
    "anyOf": [{"type": "string", "pattern": _codes("[0-9]{1,3}")}, {"type": "integer", "minimum": 0, "maximum": 599}]
}
_TIME: Keywords = {"format": "date-time"}


def _may_be_secret(pattern: str) -> Keywords:
    """A text, or a secret whose text is such a one."""
    text = {"type": "string", "pattern": pattern}
    secret = {"allOf": [_SECRET, {"properties": {"secret": {"pattern": pattern}, "prefix": {"pattern": pattern}}}]}
    return {"anyOf": [text, secret]}


_SECRET: Keywords = {"$ref": "#/components/schemas/Secret"}
_TEXTS: Keywords = {"type": ["object", "null"], "additionalProperties": _may_be_secret(NO_NUL)}

CHANGEABLE = tuple(name for name in JobRequest.__struct_fields__ if name not in FIXED)

_TAG_MEMBERS: Keywords = {
    "patternProperties": {TAG_NAME.replace("^", r"^tag\."): TAG_VALUE},
    "additionalProperties": False,
}


def _list_of(words: type[StrEnum], *, may_be_empty: bool = False) -> Keywords:
    """A text that names some of the words, separated by commas."""
    word = f"(?:{'|'.join(re.escape(word) for word in words)})"
    some = f"{word}(?:,{word})*"
    return {"pattern": f"^(?:{some})?$" if may_be_empty else f"^{some}$", "examples": [",".join([*words][:2])]}


RULES: Mapping[str, Keywords] = {
    "JobRequest": {"allOf": [_not_both("delay", "run_at"), _not_both("ttl", "expires_at")]},
    "JobRequest/run_at": _TIME,
    "JobRequest/expires_at": _TIME,
    "JobRequest/deadline": {
        "anyOf": [
            {"type": "number", "minimum": 0, "maximum": 31_622_400},
            {"type": "string", "format": "date-time"},
            {"type": "null"},
        ]
    },
    "JobRequest/tags": {
        "propertyNames": {"pattern": TAG_NAME},
        "additionalProperties": TAG_VALUE,
    },
    "HttpCommand": {
        "allOf": [
            _not_both("json", "body", may_be_null=("json",)),
            _not_both("json", "body_base64", may_be_null=("json",)),
            _not_both("body", "body_base64"),
            _PARAMS_AS_FORM_ARE_THE_BODY,
        ],
    },
    "HttpCommand/url": {
        "pattern": "^[Hh][Tt][Tt][Pp][Ss]?://[^\\x00-\\x20\\x7f/?#\\\\][^\\x00-\\x1f\\x7f]*$",
    },
    "HttpCommand/headers": {
        "propertyNames": {
            "pattern": HEADER_NAME,
            "not": {"pattern": f"^(?:{'|'.join(_any_case(name) for name in OWN_HEADERS)})$"},
        },
        "additionalProperties": _may_be_secret(HEADER_VALUE),
    },
    "HttpCommand/body_base64": {"contentEncoding": "base64", "pattern": BASE64},
    "HttpCommand/expect": _EXPECTED_STATUS,
    "ExecCommand": {
        "oneOf": [
            _just("cmd", "args", "name", "arguments"),
            _just("args", "cmd", "name", "arguments"),
            _just("name", "cmd", "args"),
        ]
    },
    "ExecCommand/cmd": {"pattern": NO_NUL},
    "ExecCommand/args": {"items": {"type": "string", "pattern": NO_NUL}},
    "ExecCommand/cwd": {"pattern": "^/[^\\x00]*$"},
    "ExecCommand/env": _TEXTS
    | {"propertyNames": {"pattern": "^[^\\x00=]+$", "not": {"pattern": f"^(?:{LOADER_VARIABLE})$"}}},
    "ExecCommand/expect": _EXPECTED_EXIT,
    "RetryWish/retry_on": {
        "anyOf": [*_CODE["anyOf"], {"type": "array", "items": _CODE}, {"type": "null"}],
        "examples": ["429,500-599"],
    },
    "FilterMembers": _TAG_MEMBERS,
    "FilterMembers/tags": {"propertyNames": {"pattern": TAG_NAME}, "additionalProperties": TAG_VALUE},
    **{
        f"{struct}/{time}_{side}": _TIME
        for struct in ("FilterMembers", "ListParameters")
        for time in ("created", "ended")
        for side in ("after", "before")
    },
    "ListParameters/state": _list_of(State),
    "StreamQuery/state": _list_of(State, may_be_empty=True),
    "StreamQuery/type": _list_of(EventType, may_be_empty=True),
    "Secret": {
        "anyOf": [
            _just("secret", "secret_ref") | {"not": {"required": ["prefix"]}},
            _just("secret_ref", "secret"),
        ],
        "examples": [{"secret": "Bearer abc"}, {"secret_ref": "api", "prefix": "Bearer "}],
    },
    "TokenRequest": _not_both("ttl", "expires_at"),
    "TokenRequest/expires_at": _TIME,
    "RetryMany/changes": {"propertyNames": {"enum": [*CHANGEABLE]}},
}
