import inspect
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import queue_server.client
from queue_server.client import AsyncClient, Client
from tests.cli.stub_server import Stub, job, of

SYNC_PROGRAM = """
import sys
from queue_server.client import Client
with Client(sys.argv[1]) as client:
    print("ready", flush=True)
    {}
"""


def public(kind: type) -> dict[str, Callable[..., Any]]:
    return {name: member for name, member in vars(kind).items() if not name.startswith("_")}


@pytest.mark.parametrize("name", public(Client))
def test_both_clients_have_the_same_methods(name: str) -> None:
    ours, theirs = public(Client)[name], public(AsyncClient)[name]
    assert inspect.signature(ours).parameters == inspect.signature(theirs).parameters
    is_iterated = "Iterator" in str(inspect.signature(ours).return_annotation)
    assert inspect.iscoroutinefunction(theirs) is not is_iterated


def test_the_async_client_has_nothing_else() -> None:
    assert public(Client).keys() == public(AsyncClient).keys()


def test_what_is_exported_is_there_and_in_order() -> None:
    assert queue_server.client.__all__ == sorted(queue_server.client.__all__)
    assert all(hasattr(queue_server.client, name) for name in queue_server.client.__all__)


def test_only_the_modules_called_so_touch_the_network() -> None:
    sources = Path(queue_server.client.__file__).parent.glob("*.py")
    importers = {path.name for path in sources if re.search(r"(?m)^(from|import) pyreqwest", path.read_text())}
    assert importers == {"connection.py", "sync_connection.py", "async_connection.py"}


def test_the_sync_client_does_without_asyncio() -> None:
    program = (
        "import sys; from queue_server.client import Client; Client('http://x'); assert 'asyncio' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=20)


def test_threads_share_a_client(stub: Stub) -> None:
    stub.tell("GET /v1/jobs/7", of(job(7)))
    with Client(stub.url) as client, ThreadPoolExecutor(8) as threads:
        assert [found.id for found in threads.map(client.get, [7] * 100)] == [7] * 100


@pytest.mark.parametrize("call", ["client.wait(7)", "next(client.events())", "next(client.follow_output(7))"])
def test_ctrl_c_ends_a_call_at_once(call: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        command = [sys.executable, "-c", SYNC_PROGRAM.format(call), url]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=10)
    assert process.returncode in (-signal.SIGINT, 130)
    assert err.rstrip().endswith(b"KeyboardInterrupt")
