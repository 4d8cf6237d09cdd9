"""Running processes lose their database and get it back: nothing is half done, lost or doubled."""

import json
import os
import resource
import threading
from collections import Counter
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from app import config, links
from app.config import Settings
from app.links import LinkPurpose
from tests.harness.postgresql_server import end_backends, execute, own_server
from tests.harness.processes import Site
from tests.harness.random_kill import children_of
from tests.harness.smtp_server import MailServer
from tests.harness.soak import runs
from tests.harness.waiting import is_quiet, until

THERAPIST = (
    "therapist", "add", "--slug", "asha", "--name", "Asha Rao", "--email",
    "asha@therapists.example", "--timezone", "Europe/London", "--rate", "60.00",
    "--available", "Mon-Sun 00:00-24:00",
)  # fmt: skip
OF_AN_ACCEPTANCE = ("booking_accepted", "session_confirmed")
SECRET_KEY = "a key for the site"
CLIENTS = 4
ROUNDS = runs(1, 10)
"""In each round, connections are ended twice and the server is restarted twice."""


def opened(url: str, folder: Path, mail: MailServer) -> Site:
    config.use(Settings(secret_key=SECRET_KEY))
    site = Site(url, folder, mail)
    site.environment["SECRET_KEY"] = SECRET_KEY
    site.mindsum("db", "upgrade")
    site.mindsum(*THERAPIST)
    return site


def descendants(pid: int) -> list[int]:
    """The process's children, and theirs."""
    own = children_of(pid)
    return own + [each for child in own for each in descendants(child)]


def set_disk_full(*, is_full: bool) -> None:
    """Keep files that the running processes write from growing, as on a full disk."""
    limit = 512 if is_full else resource.RLIM_INFINITY
    for pid in descendants(os.getpid()):
        # It may have ended since.
        with suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))


def test_on_a_full_disk_requests_fail_as_a_whole_and_work_afterwards(
    tmp_path: Path, mail: MailServer
) -> None:
    site = opened(f"sqlite:///{tmp_path / 'mindsum.db'}", tmp_path, mail)
    with site.running(schedulers=2):
        # Sessions may not overlap, so four starts lie between.
        free = iter(site.open_times(60)[1::5])
        status, requested = site.ask(next(free))
        assert status == 201
        request = site.email_about("booking_requested", requested["reference"])
        link = site.link(request, "accept")
        site.email_about("booking_received", requested["reference"])
        set_disk_full(is_full=True)
        starts = next(free)
        refused = [site.ask(starts, client=f"c{number}") for number in range(5)]
        refused += [site.call("POST", link, form="") for _ in range(3)]
        assert {status for status, _ in refused} == {503}
        assert site.call("GET", "/")[0] in (200, 503)
        assert site.call("GET", "/healthz")[0] == 200
        set_disk_full(is_full=False)
        assert len(listed(site)) == 1
        assert listed(site)[0]["status"] == "requested"
        assert site.call("POST", link, form="")[0] == 200
        answers = [site.ask(starts, client="c0"), site.ask(starts, client="c1")]
        assert [status for status, _ in answers] == [201, 409]
        second = site.email_about("booking_requested", answers[0][1]["reference"])
        assert site.click(second, "accept")[0] == 200
        for booking in listed(site):
            for kind in OF_AN_ACCEPTANCE:
                site.email_about(kind, booking["reference"])
    assert set(copies(mail).values()) == {1}
    site.mindsum("replay")


def test_restarting_the_server_under_load_loses_and_doubles_nothing(
    tmp_path: Path, mail: MailServer
) -> None:
    with own_server() as server:
        site = opened(server.url, tmp_path, mail)
        with site.running(schedulers=2):
            crowd = Crowd(site)
            for _ in range(ROUNDS):
                for mode in ("fast", "immediate"):
                    crowd.goes_on()
                    assert end_backends(server.url) > 0
                    crowd.goes_on()
                    before = crowd.refused
                    server.stop(mode)
                    until("a refusal", lambda: crowd.refused, lambda now, old=before: now > old)
                    server.start()
            references = crowd.end()
            assert crowd.odd == []
            # What is left was claimed by workers that were cut off, until its lease ends. Moving
            # the clock during an SMTP conversation would end that lease as well.
            until(
                "emails to stop",
                lambda: is_quiet(lambda: (waiting(server.url), len(mail.messages)), looks=12),
            )
            site.pass_time(timedelta(minutes=10))
            until("all emails to leave", lambda: waiting(server.url), lambda left: left == 0)
        assert len(set(references)) == len(references) >= 4 * ROUNDS
        assert {each["reference"] for each in listed(site)} == set(references)
        assert {each["status"] for each in listed(site)} == {"accepted"}
        expected = {(kind, reference) for kind in OF_AN_ACCEPTANCE for reference in references}
        found = copies(mail)
        assert set(found) >= expected
        assert [each for each, came in found.items() if came != 1] == []
        site.mindsum("replay")


def waiting(url: str) -> int:
    [(count,)] = execute(
        url, "SELECT count(*) FROM outbox_email WHERE status IN ('queued', 'sending')"
    )
    return int(count)


def listed(site: Site) -> list[Any]:
    return list(json.loads(site.mindsum("booking", "list", "--limit", "1000", "--json")))


def copies(mail: MailServer) -> Counter[tuple[str, str]]:
    """How often each email arrived, by kind and booking."""
    return Counter((each.kind, each.parsed["X-Mindsum-Booking"]) for each in mail.messages)


class Crowd:
    """Clients who request and therapists who accept; each retries until it succeeds."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._slots = iter(list(enumerate(site.open_times(60)[1::5])))
        self._is_enough = threading.Event()
        self._guard = threading.Lock()
        self._references: list[str] = []
        self.refused = 0
        self.odd: list[tuple[int, Any]] = []
        self._threads = [threading.Thread(target=self._live) for _ in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def goes_on(self) -> None:
        """Wait until another booking has been accepted."""
        before = len(self._references)
        until("another accepted booking", lambda: self._references[before:])

    def end(self) -> list[str]:
        """Let all finish; returns the references of accepted bookings."""
        self._is_enough.set()
        for thread in self._threads:
            thread.join(120)
        assert not any(thread.is_alive() for thread in self._threads)
        return self._references

    def _live(self) -> None:
        while not self._is_enough.is_set():
            self._one_more()

    def _one_more(self) -> None:
        with self._guard:
            number, starts_at = next(self._slots)
        body = {
            "therapist": "asha",
            "client": {"name": "Dee", "email": f"dee{number}@c.example", "timezone": "UTC"},
            "starts_at": starts_at,
            "kind": "paid",
        }
        call, key = self._site.call, f"key-{number}"
        requested = self._until_done(lambda: call("POST", "/api/v1/bookings", body, key=key), 201)
        # Minted here, because the email may be late: a worker that was cut off may have it.
        token = links.mint(LinkPurpose.ACCEPT, holder="t1", subject=requested["reference"])
        self._until_done(lambda: call("POST", f"/link/accept/{token}", form=""), 200)
        with self._guard:
            self._references.append(requested["reference"])

    def _until_done(self, act: Any, good: int) -> Any:
        def tried() -> tuple[int, Any]:
            try:
                status, answer = act()
            except OSError as error:
                self.odd.append((0, error))
                raise
            if status != good:
                self.refused += 1
            if status not in (good, 503):
                self.odd.append((status, answer))
            return status, answer

        return until(f"a {good}", tried, lambda answer: answer[0] == good)[1]
