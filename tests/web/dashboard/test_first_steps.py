"""The four steps that Home shows to a new therapist until all are done."""

import pytest
from flask import Flask

from app.cli import run
from app.store.models import OutboxEmail, Therapist
from tests.harness.page_stories import forms, link, press, sign_in
from tests.harness.pages import text
from tests.harness.smtp_server import MailServer
from tests.scenarios.cast import Cast
from tests.web.conftest import Visitor

TITLE = "Before clients ask you"
KIT = "kit@therapists.example"
ADD = ["therapist", "add", "--slug", "kit", "--name", "Kit Moss", "--email", KIT,
       "--timezone", "Europe/London", "--rate", "60"]  # fmt: skip


def add(app: Flask, *more: str) -> Therapist:
    assert run([*ADD, *more], create=lambda: app) == 0
    found: Therapist = Therapist.get(slug="kit")
    return found


def test_a_new_therapist_is_welcomed_and_led_through_four_steps(
    app: Flask, mail: MailServer, cast: Cast, visitor: Visitor
) -> None:
    add(app)
    assert link(app, mail, "welcome", "Sign In") == "/dashboard"
    assert visitor.get("/dashboard").location == "/sign-in?next=/dashboard"
    sign_in(app, mail, visitor, KIT)
    assert f"{TITLE} 0 of 4 done" in text(visitor.get("/dashboard"))
    hours = [each for each in forms(visitor.get("/dashboard/profile")) if "hours" in each.action]
    saved = {**hours[0].fields, "monday_from": "9", "monday_to": "17"}
    visitor.post("/dashboard/profile/hours", data=saved)
    assert "1 of 4 done" in text(visitor.get("/dashboard"))
    for step, done in (("rate", 2), ("meeting_link", 3)):
        token = forms(visitor.get("/dashboard"))[-1].fields["csrf_token"]
        ticked = {"csrf_token": token, "step": step}
        visitor.post("/dashboard/first-steps", data=ticked)
        assert f"{done} of 4 done" in text(visitor.get("/dashboard"))
    visitor.post("/dashboard/first-steps", data={**ticked, "step": "visibility"})
    assert TITLE not in visitor.get("/dashboard").text


@pytest.mark.parametrize("step", ["", "hours", "everything"])
def test_no_other_step_can_be_ticked(
    step: str, app: Flask, mail: MailServer, cast: Cast, visitor: Visitor
) -> None:
    add(app)
    sign_in(app, mail, visitor, KIT)
    token = forms(visitor.get("/dashboard"))[-1].fields["csrf_token"]
    answer = visitor.post("/dashboard/first-steps", data={"csrf_token": token, "step": step})
    assert answer.status_code == 400
    assert Therapist.get(slug="kit").first_steps == ""


def test_what_is_saved_in_profile_settings_is_done(
    app: Flask, mail: MailServer, cast: Cast, visitor: Visitor
) -> None:
    add(app)
    sign_in(app, mail, visitor, KIT)
    press(visitor, "/dashboard/profile", "/offer", meeting_url="https://meet.example/kit")
    press(visitor, "/dashboard/profile", "/hide")
    assert Therapist.get(slug="kit").first_steps == "rate,meeting_link,visibility"
    press(visitor, "/dashboard/profile", "/offer", meeting_url="")
    assert Therapist.get(slug="kit").first_steps == "rate,meeting_link,visibility"


def test_an_account_from_elsewhere_gets_no_email_and_only_what_is_missing(
    app: Flask, mail: MailServer, cast: Cast, visitor: Visitor
) -> None:
    hours = ("--available", "Mon-Fri 09:00-17:00")
    kit = add(app, "--no-welcome", "--meeting-url", "https://meet.example/kit", *hours)
    assert not OutboxEmail.select().where(OutboxEmail.therapist == kit).exists()
    sign_in(app, mail, visitor, KIT)
    assert TITLE not in visitor.get("/dashboard").text
    Therapist.update(first_steps="hours,rate,visibility").execute()
    assert "3 of 4 done" in text(visitor.get("/dashboard"))
