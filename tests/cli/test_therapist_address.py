"""`mindsum therapist address`: emails go to the new address, sign-ins of the old one end."""

import json
import re
from typing import Any

import pytest
from flask import Flask

from app.cli import run
from app.services import auth
from app.services.auth import SIGN_IN_LASTS
from app.services.therapists import accounts
from app.store.models import SignIn, Suppression, Therapist
from tests.harness.smtp_server import Accepted, FaultyServer
from tests.scenarios.story import DEE, Story, sender_to, total

ASHA = "asha@therapists.example"
NEW = "asha.rao@practice.example"
NO_MAILBOX = "550 5.1.1 no such mailbox"


def changed(app: Flask, address: str, *words: str) -> int:
    return run(["therapist", "address", "asha", address, *words], create=lambda: app)


def therapists_mail(sent: list[Accepted]) -> list[tuple[str, str]]:
    told = [(each.kind, each.rcpt_tos[0]) for each in sent]
    return [each for each in told if each[1] != DEE[1]]


def sign_in_link(sent: list[Accepted]) -> str:
    (mail,) = [each.parsed for each in sent if each.kind == "sign_in"]
    found = re.search(
        r"http://mindsum\.test(/link/sign-in/\S+)", mail.get_body(("plain",)).get_content()
    )
    assert found
    return found[1]


def test_waiting_and_later_emails_go_to_the_new_address(story: Story, app: Flask) -> None:
    booking = story.ask()
    assert changed(app, NEW) == 0
    assert therapists_mail(story.sent()) == [("booking_requested", NEW)]
    story.accept(booking)
    assert therapists_mail(story.sent()) == [("session_confirmed", NEW)]


def test_the_new_address_is_tried_even_if_it_was_suppressed(story: Story, app: Flask) -> None:
    Suppression.create(address_key=NEW, reason="refused a year ago", at=story.now)
    story.ask()
    assert changed(app, NEW) == 0
    assert therapists_mail(story.sent()) == [("booking_requested", NEW)]


def test_an_email_refused_at_the_old_address_can_be_sent_to_the_new_one(
    story: Story, app: Flask, capsys: pytest.CaptureFixture[str]
) -> None:
    story.ask()
    with FaultyServer({f"rcpt {ASHA}": NO_MAILBOX}) as server:
        total(sender_to(app, server.port).deliver())
    assert changed(app, NEW) == 0
    said = capsys.readouterr().out
    assert f"now go to {NEW}" in said
    (again,) = re.findall(r"mindsum (outbox retry \d+)", said)
    assert run(again.split(), create=lambda: app) == 0
    assert ("booking_requested", NEW) in therapists_mail(story.sent())
    assert [row.address_key for row in Suppression.select()] == [ASHA]


def test_a_sign_in_link_sent_to_the_old_address_no_longer_works(story: Story, app: Flask) -> None:
    auth.request_sign_in(ASHA, "/dashboard", story.now)
    link = sign_in_link(story.sent())
    assert changed(app, NEW) == 0
    assert app.test_client().get(link).status_code == 410
    assert SignIn.get().used_at == story.now
    auth.request_sign_in(NEW, "/dashboard", story.now)
    assert app.test_client().get(sign_in_link(story.sent())).status_code == 200


def test_a_sign_in_email_that_still_waits_is_not_sent(story: Story, app: Flask) -> None:
    auth.request_sign_in(ASHA, "/dashboard", story.now)
    assert changed(app, NEW) == 0
    story.wait(seconds=SIGN_IN_LASTS.total_seconds() / 2)
    assert story.sent() == []


def test_an_email_deferred_at_the_old_address_goes_to_the_new_one_at_once(
    story: Story, app: Flask
) -> None:
    story.ask()
    with FaultyServer({f"rcpt {ASHA}": "452 4.2.2 full"}) as server:
        for _ in range(6):
            total(sender_to(app, server.port).deliver())
            story.wait(hours=1)
        total(sender_to(app, server.port).deliver())
    assert changed(app, NEW) == 0
    assert therapists_mail(story.sent()) == [("booking_requested", NEW)]


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("BRAN@therapists.example", "EMAIL BRAN@therapists.example belongs to another therapist"),
        ("asha", "EMAIL: Please give an email address such as name@example.org, not 'asha'"),
    ],
)
def test_a_taken_or_invalid_address_is_refused(
    story: Story, app: Flask, capsys: pytest.CaptureFixture[str], address: str, why: str
) -> None:
    assert changed(app, address) == 2
    assert f"mindsum: {why}" in capsys.readouterr().err
    assert Therapist.get(slug="asha").email == ASHA


def test_an_unknown_therapist_is_a_mistake(story: Story, app: Flask) -> None:
    assert run(["therapist", "address", "zoe", NEW], create=lambda: app) == 2


def test_letter_case_can_be_changed_and_the_log_line_holds_no_address(
    story: Story,
    app: Flask,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    accounts.change_address("asha", "Asha@Therapists.example", story.now)
    (line,) = [each.msg for each in caplog.records if isinstance(each.msg, dict)]
    told: dict[str, Any] = dict(line)
    assert (told["event"], told["therapist"]) == ("therapist_address_changed", "asha")
    assert "@" not in str(told)
    assert changed(app, "Asha@Therapists.example", "--json") == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["email"], data["failed_emails"]) == ("Asha@therapists.example", [])
