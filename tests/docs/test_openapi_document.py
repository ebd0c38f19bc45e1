"""The OpenAPI document in docs/ is the one that the server serves: a change of the API shows in its diff."""

from tools.docs import OPENAPI, openapi


def test_frozen_document_is_current() -> None:
    assert OPENAPI.read_bytes() == openapi(), "run `make docs`, and look at what changes for clients"
