import pytest
from msgspec import Raw

from queue_server.domain.command import Unreadable, command_type, summary
from tests.builders.jobs import EXEC, HTTP
from tests.builders.properties import for_all
from tests.builders.strategies import hostile, http, shell


@pytest.mark.parametrize(
    ("members", "method"),
    [
        ({}, "GET"),
        ({"params": {"a": 1}}, "GET"),
        ({"json": Raw(b"null")}, "POST"),
        ({"body": ""}, "POST"),
        ({"body_base64": ""}, "POST"),
        ({"method": "PUT"}, "PUT"),
        ({"method": "GET", "body": "x"}, "GET"),
    ],
)
def test_method_follows_from_the_body_unless_it_is_named(members, method):
    assert http(**members).effective_method == method


def test_type_is_the_kind_of_slot():
    assert (command_type(HTTP), command_type(EXEC)) == ("http", "exec")


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (http(url="http://example.com/a"), "GET example.com/a"),
        (http(url="https://example.com:8443/a", body="x"), "POST example.com:8443/a"),
        (http(url="http://user:secret@example.com/a?token=secret#secret"), "GET example.com/a"),
        (http(url="http://a:secret@b:secret@example.com/"), "GET example.com/"),
        (http(url="http://user:secret@[bad/?secret"), "GET [bad/"),
        (http(url="http://example.com/" + "x" * 200), "GET example.com/" + "x" * 87 + "…"),
        (shell("run  --size 3\n&& true", env={"A": "secret"}, stdin="secret"), "run --size 3 && true"),
        (shell(args=["convert", "a b"]), "convert a b"),
        (shell("x" * 101), "x" * 99 + "…"),
        (shell("x" * 100), "x" * 100),
        (shell(), ""),
        (Unreadable(reason="secret"), "unreadable command"),
    ],
)
def test_summary_is_short_and_tells_no_secrets(command, text):
    assert summary(command) == text


@for_all(hostile)
def test_summary_is_one_line_without_the_query(text):
    line = summary(http(url=f"http://u:secret@example.com/{text.replace('?', '').replace('#', '')}?secret#secret"))
    assert "secret" not in line
    assert len(line.splitlines()) == 1
