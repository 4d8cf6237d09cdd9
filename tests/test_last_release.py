"""What release 0.1 left behind goes on: its database, its links, and what it sent on the wire."""

import json
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import create_app, links
from app.cli import run
from app.links import LinkPurpose
from app.scheduler.process import run_once
from app.services import auth
from app.services.ops import replay
from app.store import queries
from app.store.db import database
from app.store.models import Booking, SignIn
from tests.harness.databases import empty_database
from tests.harness.processes import ROOT
from tests.harness.smtp_server import MailServer
from tests.scenarios import fixed_life, last_release
from tests.scenarios.last_release import DATA, LINKS, THEN, WIRE, settings_for


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    yield from empty_database(request, tmp_path)


@pytest.fixture
def upgraded(empty_url: str, mail: MailServer, time_machine: Any) -> Flask:
    """Today's application on the last release's database, at the moment it was left."""
    time_machine.move_to(THEN, tick=False)
    last_release.restore(empty_url)
    database.upgrade()
    app = create_app(settings_for(empty_url, mail))
    app.testing = True
    return app


@pytest.fixture
def browser(upgraded: Flask) -> FlaskClient:
    return upgraded.test_client()


def status_of(app: Flask, part: str) -> str:
    return str(answer(app, f"/api/v1/bookings/{LINKS['made'][part]}")["status"])


def answer(app: Flask, path: str) -> Any:
    headers = {"Authorization": f"Bearer {fixed_life.API_KEY}"}
    response = app.test_client().get(path, headers=headers)
    assert response.status_code == 200
    return response.json


def test_it_is_the_newest_tag() -> None:
    """Where a release has a tag, what it left behind is kept."""
    before = ["git", "describe", "--tags", "--abbrev=0", "--match", "v*", "HEAD^"]
    tag = subprocess.run(before, cwd=ROOT, capture_output=True, text=True).stdout.strip()
    newest = tag or "v0.1.0"
    assert DATA.name == "release_" + "_".join(newest.removeprefix("v").split(".")[:2])


def test_its_books_add_up_after_the_upgrade(upgraded: Flask) -> None:
    with upgraded.app_context():
        assert list(replay.find_differences(THEN)) == []


def test_the_api_answers_for_its_bookings_as_it_did(upgraded: Flask) -> None:
    reads = [each for each in WIRE["answers"] if each["call"].startswith("GET /bookings/")]
    assert len(reads) == len(LINKS["made"]) - 1
    for each in reads:
        now = answer(upgraded, "/api/v1" + each["call"].removeprefix("GET "))
        assert list(fixed_life.missing(each["json"], now, each["call"])) == []


def test_its_bookings_have_the_names_and_zones_of_their_clients(upgraded: Flask) -> None:
    before = json.loads((DATA / "rows.json").read_text())
    clients = {each["id"]: each for each in before["client"]}
    people = {each["reference"]: clients[each["client_id"]] for each in before["booking"]}
    with upgraded.app_context(), database.connection():
        for booking in Booking.select():
            client = people[booking.reference]
            assert booking.client_name == client["name"]
            assert booking.client_given_name == client["name"].split()[0]
            assert booking.client_timezone == client["timezone"]
        for client in before["client"]:
            assert queries.client_by_email(client["email"].upper()).id == client["id"]


def test_its_therapists_are_found_by_name_in_any_letter_case(browser: FlaskClient) -> None:
    assert 'id="card-bran"' in browser.get("/?name=BRÁN").text


@pytest.mark.parametrize("link", sorted(LINKS["links"]))
def test_its_links_open_and_opening_changes_nothing(
    upgraded: Flask, browser: FlaskClient, link: str
) -> None:
    part, purpose = link.split()
    before = status_of(upgraded, part)
    opened = browser.get(LINKS["links"][link])
    assert opened.status_code == (302 if purpose == "session" else 200)
    assert status_of(upgraded, part) == before


@pytest.mark.parametrize("part", ["open", "late"])
def test_its_accept_links_still_accept(upgraded: Flask, browser: FlaskClient, part: str) -> None:
    pressed = browser.post(LINKS["links"][f"{part} accept"])
    assert pressed.status_code == 200
    assert status_of(upgraded, part) == "accepted"


def test_its_decline_link_still_declines_once(upgraded: Flask, browser: FlaskClient) -> None:
    pressed = browser.post(LINKS["links"]["open decline"], data={"reason": "I am away."})
    assert pressed.status_code == 200
    assert status_of(upgraded, "open") == "declined"
    assert browser.post(LINKS["links"]["open accept"]).status_code == 409


def test_its_links_end_with_an_address_or_by_ops(upgraded: Flask, browser: FlaskClient) -> None:
    bran, dee, revoked = ("open accept", "declined manage", "late choose")
    for link, words in (
        (bran, ["therapist", "address", "bran", "bran@elsewhere.example"]),
        (dee, ["client", "address", "dee@clients.example", "dee@elsewhere.example"]),
        (revoked, ["booking", "revoke-links", LINKS["made"]["late"]]),
    ):
        assert browser.get(LINKS["links"][link]).status_code == 200
        assert run(words, lambda: upgraded) == 0
        assert browser.get(LINKS["links"][link]).status_code == 410
    assert browser.post(LINKS["links"][bran]).status_code == 410
    assert status_of(upgraded, "open") == "requested"


def test_its_sign_in_links_still_sign_in_and_its_cookies_do_not(
    upgraded: Flask, browser: FlaskClient
) -> None:
    with upgraded.app_context():
        auth.request_sign_in("asha@therapists.example", "", THEN)
        sign_in = SignIn.select().order_by(SignIn.id.desc()).get()
        # As that release wrote it: the therapist, the key, the epoch of all such links.
        token = links.mint(
            LinkPurpose.SIGN_IN, holder=f"t{sign_in.therapist_id}", subject=sign_in.key, epoch=1
        )
    with browser.session_transaction() as cookie:
        cookie["_user_id"] = "asha 0123456789abcdef"
    assert browser.get("/dashboard").status_code == 302
    assert browser.post(f"/link/sign-in/{token}").status_code == 303
    assert browser.get("/dashboard").status_code == 200


def test_what_was_still_queued_leaves_with_the_message_id_it_would_have_had(
    upgraded: Flask, mail: MailServer
) -> None:
    before = len(mail.messages)
    assert run_once(upgraded) == 0
    sent = {each.kind: each.parsed["Message-ID"] for each in mail.messages[before:]}
    assert sent == LINKS["queued"]


def test_what_people_wrote_can_still_be_read(
    upgraded: Flask, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["client", "export", "dee@clients.example"], lambda: upgraded) == 0
    exported = capsys.readouterr().out
    assert "Sleeping badly." in exported and "I am away." in exported


def test_its_therapists_have_no_phone_and_can_be_given_one(
    upgraded: Flask, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, phone in (
        (("show",), None),
        (("set", "--phone", "+44 20 7946 0018"), "+442079460018"),
    ):
        capsys.readouterr()
        assert run(["therapist", words[0], "bran", *words[1:], "--json"], lambda: upgraded) == 0
        assert json.loads(capsys.readouterr().out)["phone"] == phone


def test_its_accepted_session_is_reminded_before_free_cancelling_ends(upgraded: Flask) -> None:
    with upgraded.app_context(), database.connection():
        booking = queries.booking_by_reference(LINKS["made"]["upcoming"])
        assert booking.day_reminder_due_at == booking.starts_at - timedelta(hours=26)
        assert booking.hour_reminder_due_at == booking.starts_at - timedelta(hours=1)
