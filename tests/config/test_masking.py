import pytest

from queue_server.config.masking import mask_passwords


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("postgresql://me:secret@host/db", "postgresql://me:***@host/db"),
        ("postgresql://me:s@cr:e/t@host:5432/db", "postgresql://me:***@host:5432/db"),
        ("mysql://:secret@host/db", "mysql://:***@host/db"),
        ("postgresql://host/db?user=me&password=secret&x=1", "postgresql://host/db?user=me&password=***&x=1"),
        ("postgresql://host/db?sslpassword=secret", "postgresql://host/db?sslpassword=***"),
    ],
)
def test_the_password_of_a_url_is_masked(url: str, masked: str) -> None:
    assert mask_passwords(url) == masked


@pytest.mark.parametrize(
    "text", ["sqlite:///queue-server.db", "sqlite:////a:b@c/x.db", "postgresql://me@host/db", "127.0.0.1", ""]
)
def test_a_text_without_a_password_stays_as_it_is(text: str) -> None:
    assert mask_passwords(text) == text
