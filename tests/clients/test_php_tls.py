"""The PHP client with https, through a line that speaks TLS to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.broken_line import Line, cut, line_to, lost, whole
from tests.clients.certificates import make_certificate, server_context
from tests.clients.conftest import Maker
from tests.clients.php import Thrown
from tests.support.server import Server
from tests.support.tools import needs

pytestmark = needs("php")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def tls_line(server: Server, certificate: Path) -> Iterator[Line]:
    with line_to(server.port, tls=server_context(certificate)) as line:
        yield line


def test_jobs_are_added_over_tls(make_php: Maker, tls_line: Line, server: Server, certificate: Path) -> None:
    php = make_php(tls_line.url, ssl={"cafile": str(certificate)})
    text = "ü" * 400_000
    job = php("return $queue->addExec('wc -m', stdin: $in['text'], env: ['LC_ALL' => 'C.UTF-8']);", text=text)
    assert server.wait_end(job["id"])["state"] == "completed"
    assert php("return $queue->output($in['id']);", id=job["id"]) == "400000\n"


def test_a_certificate_that_nobody_vouches_for_is_refused(make_php: Maker, tls_line: Line) -> None:
    with pytest.raises(Thrown, match=r"can't be reached: .*certificate verify failed") as thrown:
        make_php(tls_line.url, retries=0)("$queue->stats();")
    assert (thrown.value.kind, thrown.value.properties["mayBeDone"]) == ("Unreachable", False)
    assert tls_line.requests == []


def test_a_certificate_of_another_name_is_refused(make_php: Maker, tls_line: Line, certificate: Path) -> None:
    php = make_php(tls_line.url.replace("127.0.0.1", "localhost"), ssl={"cafile": str(certificate)}, retries=0)
    with pytest.raises(Thrown, match="did not match expected CN"):
        php("$queue->stats();")


def test_an_answer_that_breaks_off_is_asked_for_again(make_php: Maker, server: Server, certificate: Path) -> None:
    with line_to(server.port, lost, cut, whole, tls=server_context(certificate)) as line:
        stats = make_php(line.url, ssl={"cafile": str(certificate)})("return $queue->stats();")
    assert stats["slots"]["total"] == 100
    assert len(line.requests) == 3


def test_plain_http_to_a_tls_port_is_unreachable(make_php: Maker, tls_line: Line) -> None:
    with pytest.raises(Thrown, match="Unreachable"):
        make_php(tls_line.url.replace("https", "http"), retries=0)("$queue->stats();")
