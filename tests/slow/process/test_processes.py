"""The whole product as real processes with real SMTP, on both databases."""

import http.client
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from flask import Flask

from app import clock
from app.store.models import OutboxEmail
from tests.harness.processes import API_KEY, Site
from tests.harness.smtp_server import MailServer
from tests.harness.soak import runs
from tests.harness.waiting import PATIENCE_S, until
from tests.scenarios.cast import therapist


@pytest.fixture
def site(app: Flask, database_url: str, tmp_path: Path, mail: MailServer) -> Iterator[Site]:
    """A site with Asha; no process runs yet."""
    therapist("Asha Rao", "Europe/London")
    yield Site(database_url, tmp_path, mail)
    clock.follow(None)


@pytest.mark.parametrize(
    "database_url", runs(["postgresql"], ["sqlite", "postgresql"]), indirect=True
)
def test_a_request_by_api_is_accepted_from_the_email_and_both_get_an_email(site: Site) -> None:
    with site.running(schedulers=2):
        status, booking = site.ask(site.open_times()[3])
        assert (status, booking["status"]) == (201, "requested")
        reference = booking["reference"]
        status, _ = site.click(site.email_about("booking_requested", reference), "accept")
        assert status == 200
        until("four emails", lambda: site.mail.messages, lambda sent: len(sent) == 4)
        _, booking = site.call("GET", f"/api/v1/bookings/{reference}")
    assert booking["status"] == "accepted"
    assert [(each["event"], each["by"], each["via"]) for each in booking["timeline"]] == [
        ("requested", "client", "api"),
        ("accepted", "therapist", "link"),
    ]
    kinds = Counter(each.kind for each in site.mail.messages)
    assert kinds == {
        "booking_requested": 1,
        "booking_received": 1,
        "booking_accepted": 1,
        "session_confirmed": 1,
    }


def test_of_twenty_requests_at_once_one_is_booked_and_nineteen_are_refused(site: Site) -> None:
    with site.running():
        slot = site.open_times()[5]
        answers = at_once(20, lambda number: site.ask(slot, client=f"client{number}"))
    codes = Counter((status, body.get("code")) for status, body in answers)
    assert codes == {(201, None): 1, (409, "slot_taken"): 19}


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_body_of_ten_megabytes_is_refused_with_or_without_a_length(
    site: Site,
) -> None:
    form = "application/x-www-form-urlencoded"
    with site.running():
        status, problem = site.call("POST", "/api/v1/bookings", {"note": "a" * 10_000_000})
        assert (status, problem["code"]) == (413, "body_too_large")
        status, page = site.call("POST", "/my-links", form="email=" + "a" * 10_000_000)
        assert status == 413
        assert "nothing was done" in page
        for path, content_type in (("/api/v1/bookings", "application/json"), ("/my-links", form)):
            answer = http.client.HTTPConnection("127.0.0.1", site.port, timeout=PATIENCE_S)
            headers = {"Authorization": f"Bearer {API_KEY}", "Content-Type": content_type}
            parts = (b"a" * 65_536 for _ in range(150))
            answer.request("POST", path, parts, headers, encode_chunked=True)
            assert answer.getresponse().status == 413
            answer.close()
        headers = {"Content-Type": form}
        answer.request("POST", "/my-links", iter([b"email=dee%40cl", b"ients.example"]), headers)
        assert answer.getresponse().status == 200
        answer.close()


@pytest.mark.parametrize("database_url", runs(["sqlite"], ["sqlite", "postgresql"]), indirect=True)
def test_of_eight_clicks_at_once_one_wins_and_the_client_gets_one_email(site: Site) -> None:
    with site.running(schedulers=2):
        _, booking = site.ask(site.open_times()[5])
        mail = site.email_about("booking_requested", booking["reference"])
        paths = [site.link(mail, aim) for aim in ("accept", "decline")]
        answers = at_once(8, lambda number: site.call("POST", paths[number % 2], form=""))
        assert Counter(status for status, _ in answers) == {200: 4, 409: 4}
        until("four emails", lambda: site.mail.messages, lambda sent: len(sent) == 4)
        _, booking = site.call("GET", f"/api/v1/bookings/{booking['reference']}")
    assert len(booking["timeline"]) == 2
    to_client = [each for each in site.mail.messages if each.rcpt_tos == ("dee@clients.example",)]
    assert len(to_client) == 2


@pytest.mark.parametrize(
    "database_url", runs(["postgresql"], ["sqlite", "postgresql"]), indirect=True
)
def test_cancellations_warn_flag_and_deactivate_with_every_email_once(site: Site) -> None:
    with site.running():
        first = [book(site) for _ in range(3)]
        for reference in first:
            cancel(site, reference)
        until("a streak of three", lambda: standing(site)["streak"], lambda streak: streak == 3)
        until("the warning", lambda: site.emails("streak_warning"))
        complete(site, book(site))
        stood = until("the streak to end", lambda: standing(site), lambda now: now["streak"] == 0)
        assert stood["flagged"] is False
        unflagged = standing(site)["score"]
        for _ in range(4):
            cancel(site, book(site))
        until(
            "the flag, and a lower score",
            lambda: standing(site),
            lambda now: now["flagged"] and now["score"] < unflagged,
        )
        complete(site, book(site))
        until("the flag to go", lambda: standing(site), lambda now: not now["flagged"])
        open_enquiry = site.ask(site.open_times()[40], client="eli")[1]["reference"]
        kept = book(site)
        for _ in range(5):
            cancel(site, book(site))
        until(
            "the deactivation",
            lambda: standing(site),
            lambda now: now["account"] == "deactivated",
        )
        assert site.call("GET", "/api/v1/therapists")[1] == []
        site.email_about("booking_expired", open_enquiry)
        assert site.call("GET", f"/api/v1/bookings/{kept}")[1]["status"] == "accepted"
        until("its email", lambda: site.emails("account_deactivated"))
        site.mindsum("therapist", "reactivate", "asha")
        until("its email", lambda: site.emails("account_reactivated"))
        assert standing(site)["account"] == "active"
        assert "Everything stored follows" in site.mindsum("replay")
        until(
            "every email to be sent or skipped",
            lambda: Counter(row.status.value for row in OutboxEmail.select()),
            lambda counts: set(counts) <= {"sent", "skipped"},
        )
    ids = [each.parsed["Message-ID"] for each in site.mail.messages]
    assert len(ids) == len(set(ids))
    kinds = Counter(each.kind for each in site.mail.messages)
    assert kinds["cancellation_recorded"] == kinds["therapist_cancelled"] == 12
    assert (kinds["account_deactivated"], kinds["account_reactivated"]) == (1, 1)
    # The last streak passes four; the email is sent unless five follows before the next sweep.
    assert kinds["account_flagged"] in (1, 2)
    assert kinds["account_alert"] == kinds["account_flagged"] + 1


def at_once(count: int, act) -> list:
    """The results of `count` threads that start together."""
    ready, answers = threading.Barrier(count), []

    def go(number: int) -> None:
        ready.wait()
        answers.append(act(number))

    threads = [threading.Thread(target=go, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def book(site: Site) -> str:
    """Book Asha's second open time: the first may be too near in a moment."""
    status, booking = site.ask(site.open_times()[1])
    assert status == 201, booking
    status, _ = site.click(site.email_about("booking_requested", booking["reference"]), "accept")
    assert status == 200
    return str(booking["reference"])


def cancel(site: Site, reference: str) -> None:
    path = f"/api/v1/bookings/{reference}/cancel"
    status, booking = site.call("POST", path, {"by": "therapist"})
    assert (status, booking["status"]) == (200, "cancelled_by_therapist")


def complete(site: Site, reference: str) -> None:
    """Move time on until the session is completed."""
    booking = site.call("GET", f"/api/v1/bookings/{reference}")[1]
    ends_at = datetime.fromisoformat(booking["ends_at"])
    clock.follow(site.folder / "clock")
    site.move_to(ends_at + timedelta(minutes=11), clock.now())
    path = f"/api/v1/bookings/{reference}"
    until(
        "the session to be completed",
        lambda: site.call("GET", path)[1],
        lambda booking: booking["status"] == "completed",
    )


def standing(site: Site) -> dict:
    return dict(site.call("GET", "/api/v1/therapists/asha")[1])
