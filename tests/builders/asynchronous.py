"""Runs tests that are coroutine functions, on one event loop that their fixtures use too. For use in a conftest.py:

from tests.builders.asynchronous import pytest_pyfunc_call, runner
"""

import asyncio
import inspect
from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    """The event loop of one test."""
    with asyncio.Runner() as one:
        yield one


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: Any) -> bool | None:
    """Run a coroutine function on the loop of the fixture `runner`, or on one of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    test = pyfuncitem.obj(**arguments)
    if shared := pyfuncitem.funcargs.get("runner"):
        shared.run(test)
    else:
        asyncio.run(test)
    return True
