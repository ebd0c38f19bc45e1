from tests.builders.asynchronous import pytest_pyfunc_call, runner

__all__ = ["pytest_pyfunc_call", "runner"]
