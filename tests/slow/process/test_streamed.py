"""An answer that is sent as it is made, through granian."""

import http.client
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from app import serve
from app.config import Settings
from tests.harness.processes import Site, is_ok
from tests.harness.smtp_server import LOOPBACK, MailServer
from tests.harness.streaming_server import PARTS
from tests.harness.waiting import PATIENCE_S, until

# None of this depends on the database.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def site(database_url: str, tmp_path: Path, mail: MailServer) -> Iterator[Site]:
    """A site with streamed answers, and one worker."""
    site = Site(database_url, tmp_path, mail)
    command = serve.command(Settings(port=site.port, web_concurrency=1))[1:]
    named = ["tests.harness.streaming_server:worker" if ":" in each else each for each in command]
    with site.spawn(*named):
        until("the site to answer", lambda: site.call("GET", "/healthz"), is_ok)
        yield site


@contextmanager
def answer(site: Site, path: str, method: str = "GET") -> Iterator[http.client.HTTPResponse]:
    connection = http.client.HTTPConnection(LOOPBACK, site.port, timeout=PATIENCE_S)
    with closing(connection):
        connection.request(method, path)
        with connection.getresponse() as found:
            yield found


def test_a_whole_answer_arrives_in_parts_without_a_length(site: Site) -> None:
    with answer(site, "/whole") as found:
        assert found.headers["Transfer-Encoding"] == "chunked"
        assert found.headers["Content-Length"] is None
        assert found.read() == b"".join(PARTS)


def test_an_answer_that_fails_midway_is_seen_to_be_broken(site: Site) -> None:
    # The connection may end before the first part has left.
    with (
        pytest.raises((http.client.IncompleteRead, ConnectionError)),
        answer(site, "/broken") as found,
    ):
        found.read()
    # Others are served as before.
    with answer(site, "/whole") as found:
        assert found.read() == b"".join(PARTS)


def test_only_the_headers_are_asked_for(site: Site) -> None:
    with answer(site, "/broken", "HEAD") as found:
        assert (found.status, found.read()) == (200, b"")


def test_a_reader_who_leaves_keeps_no_thread(site: Site) -> None:
    for _ in range(8):
        with answer(site, "/whole"):
            pass
    with answer(site, "/healthz") as found:
        assert found.read() == b"up"
