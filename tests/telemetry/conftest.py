from tests.builders.asynchronous import pytest_pyfunc_call
from tests.support.fixtures import make_server, path, server, target

__all__ = ["make_server", "path", "pytest_pyfunc_call", "server", "target"]
