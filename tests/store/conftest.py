"""Every test of a store may be a coroutine function. It runs on the loop that its store was opened in."""

from tests.builders.asynchronous import pytest_pyfunc_call, runner

__all__ = ["pytest_pyfunc_call", "runner"]
