"""JSON merge patches (RFC 7396) over raw JSON."""

import json

import pytest
from hypothesis import strategies as st

from queue_server.domain.errors import InvalidJob
from queue_server.domain.job import JobRequest
from queue_server.domain.revising import DEPTH_LIMIT, merge, patched, read_patch
from tests.builders.jobs import record
from tests.builders.properties import for_all


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ('{"a":"b"}', '{"a":"c"}', '{"a":"c"}'),
        ('{"a":"b"}', '{"b":"c"}', '{"a":"b","b":"c"}'),
        ('{"a":"b"}', '{"a":null}', "{}"),
        ('{"a":"b","b":"c"}', '{"a":null}', '{"b":"c"}'),
        ('{"a":["b"]}', '{"a":"c"}', '{"a":"c"}'),
        ('{"a":"c"}', '{"a":["b"]}', '{"a":["b"]}'),
        ('{"a":{"b":"c"}}', '{"a":{"b":"d","c":null}}', '{"a":{"b":"d"}}'),
        ('{"a":[{"b":"c"}]}', '{"a":[1]}', '{"a":[1]}'),
        ('["a","b"]', '["c","d"]', '["c","d"]'),
        ('{"a":"b"}', '["c"]', '["c"]'),
        ('{"a":"foo"}', "null", "null"),
        ('{"a":"foo"}', '"bar"', '"bar"'),
        ('{"e":null}', '{"a":1}', '{"e":null,"a":1}'),
        ("[1,2]", '{"a":"b","c":null}', '{"a":"b"}'),
        ("{}", '{"a":{"bb":{"ccc":null}}}', '{"a":{"bb":{}}}'),
    ],
)
def test_example_of_rfc_7396_appendix_a(target, patch, result):
    assert merge(target.encode(), patch.encode()) == result.encode()
    spaced = patch.replace(":", " : ").replace("{", "\n{ ").replace(",", " ,\t")
    assert json.loads(merge(f" {target} ".encode(), spaced.encode())) == json.loads(result)


def test_numbers_of_any_size_are_merged_as_they_are_written():
    numbers = '{"a":12345678901234567890123,"b":1e999,"c":-0.0,"d":1.10}'
    assert merge(numbers.encode(), b'{"b":2e999,"x":0.1000}') == (
        b'{"a":12345678901234567890123,"b":2e999,"c":-0.0,"d":1.10,"x":0.1000}'
    )


def test_names_are_the_same_however_they_are_written():
    assert json.loads(merge(b'{"\\u0061/\\"~":1}', b'{"a/\\"\\u007e":2}')) == {'a/"~': 2}


trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=12,
)


@for_all(trees, trees)
def test_merge_does_what_the_rfc_says(target, patch):
    assert json.loads(merge(json.dumps(target).encode(), json.dumps(patch).encode())) == _as_the_rfc_says(target, patch)


def _as_the_rfc_says(target, patch):
    """The pseudo code of section 2."""
    if not isinstance(patch, dict):
        return patch
    target = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            target.pop(name, None)
        else:
            target[name] = _as_the_rfc_says(target.get(name), value)
    return target


def _nested(levels: int) -> bytes:
    return b'{"a":' * levels + b"1" + b"}" * levels


def test_patch_may_be_nested_to_a_limit():
    assert merge(b"{}", _nested(DEPTH_LIMIT + 1)) == _nested(DEPTH_LIMIT + 1)
    for levels in (DEPTH_LIMIT + 2, 5000, 100_000):
        with pytest.raises(InvalidJob, match="the JSON is nested too deeply"):
            _with_command(_nested(levels))


def test_lists_may_be_nested_as_deeply_as_in_a_new_job():
    deep = b"[" * 700 + b"]" * 700
    assert bytes(_with_command(b'{"json":' + deep + b"}").command.json) == deep


def _with_command(text: bytes) -> JobRequest:
    """A job with a patch of its command."""
    return patched(record(), read_patch(b'{"command":' + text + b"}"))
