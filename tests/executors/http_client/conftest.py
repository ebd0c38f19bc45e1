"""Each coroutine test runs on both kinds of event loop."""

import asyncio
from collections.abc import Iterator

import pytest
import uvloop

from tests.builders.asynchronous import pytest_pyfunc_call

__all__ = ["pytest_pyfunc_call", "runner"]


@pytest.fixture(params=["asyncio", "uvloop"])
def runner(request: pytest.FixtureRequest) -> Iterator[asyncio.Runner]:
    """The event loop of one test."""
    make = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop
    with asyncio.Runner(loop_factory=make) as one:
        yield one


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Coroutine tests need not name the loop."""
    if asyncio.iscoroutinefunction(metafunc.function) and "runner" not in metafunc.fixturenames:
        metafunc.fixturenames.append("runner")
        metafunc.parametrize("runner", ["asyncio", "uvloop"], indirect=True)
