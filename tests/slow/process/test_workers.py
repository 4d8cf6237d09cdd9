"""The metrics of all web workers come in one scrape, also after workers died."""

import http.client
import os
import re
import shutil
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from app import serve
from tests.harness.processes import Site, is_ok
from tests.harness.random_kill import children_of, proc_text
from tests.harness.smtp_server import MailServer
from tests.harness.waiting import PATIENCE_S, until

REQUESTS = 40
SHARED_KB = 10_000
"""Of Python's objects; it is three times as much, and little where each worker loads its own."""


@pytest.fixture
def site(database_url: str, tmp_path: Path, mail: MailServer) -> Site:
    built = Site(database_url, tmp_path, mail)
    built.environment |= {"WEB_CONCURRENCY": "2", "TMPDIR": str(tmp_path)}
    return built


def metrics_folder(site: Site) -> Path:
    in_memory = os.access(serve.SHARED_MEMORY, os.W_OK | os.X_OK)
    parent = Path(serve.SHARED_MEMORY) if in_memory else site.folder
    return parent / f"mindsum-metrics-{os.getuid()}-127.0.0.1-{site.port}"


def counted(site: Site) -> float:
    """How many requests of the start page one scrape of /metrics shows."""
    status, text = site.call("GET", "/metrics")
    assert status == 200
    found = re.search(
        r'duration_seconds_count\{endpoint="directory.find",method="GET",status="2xx"\} (\S+)', text
    )
    return float(found[1]) if found else 0.0


def workers_of(pid: int) -> set[int]:
    """The worker processes of a web server."""
    return {
        each for each in children_of(pid) if "resource_tracker" not in proc_text(each, "cmdline")
    }


@contextmanager
def served(site: Site) -> Iterator[int]:
    """A web process as in the Procfile, once both workers serve; its process id."""
    with site.spawn("-m", "app.serve") as web:
        until("the site to answer", lambda: site.call("GET", "/healthz"), is_ok)
        wait_until_counting(site, 2)
        yield web.pid


def wait_until_counting(site: Site, workers: int) -> None:
    """Send requests until so many workers have counted one, dead workers included."""

    def ask() -> int:
        site.call("GET", "/healthz")
        return len(list(metrics_folder(site).glob("histogram_*.db")))

    until(f"{workers} workers to count", ask, lambda count: count == workers)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_one_scrape_shows_all_workers_also_those_that_died(site: Site) -> None:
    with served(site) as pid:
        folder = metrics_folder(site)
        assert folder.stat().st_mode & 0o777 == 0o700
        for _ in range(REQUESTS):
            assert site.call("GET", "/")[0] == 200
        assert {counted(site) for _ in range(10)} == {REQUESTS}
        before = workers_of(pid)
        os.kill(next(iter(before)), signal.SIGKILL)
        until("another worker", lambda: workers_of(pid) - before)
        wait_until_counting(site, 3)
        assert counted(site) == REQUESTS
        for _ in range(REQUESTS):
            until("the start page", lambda: site.call("GET", "/"), is_ok)
        assert {counted(site) for _ in range(10)} == {2 * REQUESTS}
    with served(site):
        assert counted(site) == 0


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_workers_without_their_metrics_files_answer_and_so_do_their_replacements(
    site: Site,
) -> None:
    with served(site) as pid:
        shutil.rmtree(metrics_folder(site))
        assert {site.call("GET", "/")[0] for _ in range(REQUESTS)} == {200}
        assert counted(site) == 0
        before = workers_of(pid)
        for each in before:
            os.kill(each, signal.SIGKILL)
        until("two other workers", lambda: workers_of(pid) - before, lambda new: len(new) == 2)
        until("the start page", lambda: site.call("GET", "/"), is_ok)
        until("a request to be counted", lambda: (site.call("GET", "/"), counted(site))[1])


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_workers_share_what_was_loaded_before_they_were_forked(site: Site) -> None:
    with served(site) as pid:
        for each in workers_of(pid):
            shared = re.search(r"Shared_Dirty:\s+(\d+) kB", proc_text(each, "smaps_rollup"))
            assert shared
            assert int(shared[1]) > SHARED_KB


def test_a_port_in_use_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(serve, "PORT_FREE_WITHIN_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        port = somebody.getsockname()[1]
        monkeypatch.setenv("PORT", str(port))
        with pytest.raises(SystemExit) as ended:
            serve.main()
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert re.fullmatch(rf"web: PORT should be .*not {port}.*\n", said.err)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_server_that_was_killed_can_be_started_again_at_once(site: Site) -> None:
    with served(site) as pid:
        os.kill(pid, signal.SIGKILL)
        with site.spawn("-m", "app.serve") as successor:
            until("both workers", lambda: workers_of(successor.pid), lambda all_: len(all_) == 2)
            until("the site to answer", lambda: site.call("GET", "/healthz"), is_ok)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_server_stopped_while_its_workers_start_ends(site: Site) -> None:
    with site.spawn("-m", "app.serve") as web:
        until("a worker", lambda: workers_of(web.pid))
    assert web.returncode is not None


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("bind", "answering"),
    [("127.0.0.1", {"127.0.0.1"}), ("::1", {"::1"}), ("::", {"127.0.0.1", "::1"})],
)
def test_the_site_answers_where_it_was_told_to_listen(
    site: Site, bind: str, answering: set[str]
) -> None:
    if ":" in bind and not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    site.environment["BIND"] = bind

    def answers(address: str) -> bool:
        connection = http.client.HTTPConnection(address, site.port, timeout=PATIENCE_S)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        except ConnectionRefusedError:
            return False
        finally:
            connection.close()

    with site.spawn("-m", "app.serve"):
        until("the site to answer", lambda: [answers(each) for each in answering], all)
        assert {each for each in ("127.0.0.1", "::1") if answers(each)} == answering


def test_an_address_of_another_machine_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BIND", "192.0.2.1")
    with pytest.raises(SystemExit) as ended:
        serve.main()
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("web: BIND should be an address of this machine, not 192.0.2.1")
    assert said.count("\n") == 1
