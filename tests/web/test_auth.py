"""Signing in and out: what each visitor learns, and what a session may reach."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from app import clock
from app.services.jobs import due
from app.services.therapists import accounts
from app.store.models import SignIn
from tests.harness.page_stories import all_rows, ask, forms, link, now_of, press, sign_in
from tests.harness.smtp_server import MailServer
from tests.scenarios.cast import Cast
from tests.scenarios.story import total
from tests.web.conftest import Visitor, another_visitor

ASHA = "asha@therapists.example"
DAY = timedelta(days=1)


def test_sign_in_says_the_same_for_every_address(cast: Cast, visitor: Visitor) -> None:
    known = visitor.post("/sign-in", data={"email": ASHA})
    unknown = visitor.post("/sign-in", data={"email": "eve@therapists.example"})
    assert known.status_code == unknown.status_code == 200
    assert known.text.replace(ASHA, "") == unknown.text.replace("eve@therapists.example", "")
    assert set(known.headers.keys()) == set(unknown.headers.keys())
    assert not SignIn.select().exists()


def test_a_therapist_can_sign_in_again_once_old_sign_ins_are_forgotten(
    app: Flask, mail: MailServer, cast: Cast, visitor: Visitor, at: Any
) -> None:
    seen = []
    for _ in range(2):
        assert visitor.post("/sign-in", data={"email": ASHA}).status_code == 200
        seen.append(link(app, mail, "sign_in", "Sign In"))
        at(clock.now() + 2 * DAY)
        total(due.purge(clock.now()))
        assert not SignIn.select().exists()
    assert len({each.parsed["Message-ID"] for each in mail.messages}) == len(set(seen)) == 2


@pytest.mark.parametrize("typed", ["", "asha", "asha@", "a@b@c", "asha@x.example\r\nBcc: y"])
def test_what_is_no_address_is_named_and_kept(typed: str, cast: Cast, visitor: Visitor) -> None:
    rows = all_rows()
    for page in ("/sign-in", "/my-links"):
        refused = visitor.post(page, data={"email": typed})
        assert refused.status_code == 422
        assert "such as name@example.org" in refused.text
        assert forms(refused)[0].fields["email"].split() == typed.split()
    assert all_rows() == rows


@pytest.mark.parametrize(
    "elsewhere",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "/dashboard//..//x\r\ny",
     "javascript:alert(1)", "/link/sign-in/x", "/dashboard/" + "a" * 300],
)  # fmt: skip
def test_sign_in_goes_on_only_to_our_own_dashboard(
    elsewhere: str, app: Flask, mail: MailServer, cast: Cast, visitor: Visitor
) -> None:
    visitor.post("/sign-in", data={"email": ASHA, "next": elsewhere})
    arrived = press(visitor, link(app, mail, "sign_in", "Sign In"), follow=False)
    assert arrived.location == "/dashboard"


def test_the_page_that_was_asked_for_comes_after_sign_in(
    app: Flask, mail: MailServer, cast: Cast, visitor: Visitor
) -> None:
    sent_away = visitor.get("/dashboard?tab=upcoming")
    asked = visitor.get(sent_away.location)
    visitor.post("/sign-in", data={**forms(asked)[0].fields, "email": ASHA})
    arrived = press(visitor, link(app, mail, "sign_in", "Sign In"), follow=False)
    assert arrived.location == "/dashboard?tab=upcoming"
    assert visitor.get("/sign-in").location == "/dashboard"


def test_sign_in_begins_a_fresh_session(
    app: Flask, mail: MailServer, cast: Cast, visitor: Visitor
) -> None:
    sign_in(app, mail, visitor, "bran@therapists.example")
    with visitor.session_transaction() as session:
        session["planted"] = "by somebody else"
        first = session["csrf_token"]
    sign_in(app, mail, visitor, ASHA)
    with visitor.session_transaction() as session:
        assert "planted" not in session
        assert session["csrf_token"] != first
    assert "Hello Asha" in visitor.get("/dashboard").text


def test_a_session_ends_when_the_account_gets_another_address(
    app: Flask, mail: MailServer, cast: Cast, visitor: Visitor
) -> None:
    sign_in(app, mail, visitor, ASHA)
    assert visitor.get("/dashboard").status_code == 200
    accounts.change_address("asha", "asha.rao@sessions.example", clock.now())
    assert visitor.get("/dashboard").status_code == 302


def test_signing_out_ends_it(app: Flask, mail: MailServer, cast: Cast, visitor: Visitor) -> None:
    sign_in(app, mail, visitor, ASHA)
    assert visitor.post("/sign-out").status_code == 400
    assert visitor.get("/dashboard").status_code == 200
    assert press(visitor, "/dashboard", "/sign-out", follow=False).location == "/sign-in"
    assert visitor.get("/dashboard").status_code == 302
    assert visitor.post("/sign-out").status_code == 303


def test_a_session_whose_account_is_gone_is_none(
    app: Flask, mail: MailServer, cast: Cast, visitor: Visitor
) -> None:
    sign_in(app, mail, visitor, "chi@therapists.example")
    cast.chi.delete_instance()
    assert visitor.get("/dashboard").status_code == 302


def test_a_form_sent_after_the_session_ended_loses_nothing_that_was_typed(
    app: Flask, mail: MailServer, cast: Cast, visitor: Visitor
) -> None:
    booking = ask()
    sign_in(app, mail, visitor, ASHA)
    page = f"/dashboard/sessions/{booking.reference}"
    [decline] = [f for f in forms(visitor.get(page)) if f.action.endswith("/decline")]
    typed = {**decline.fields, "reason": "I am away,\nsorry <3"}
    visitor.delete_cookie("mindsum-session")

    kept = visitor.post(decline.action, data=typed)
    assert kept.status_code == 401
    signing_in, again = forms(kept)
    assert again.fields["reason"].strip() == typed["reason"]
    visitor.post("/sign-in", data={**signing_in.fields, "email": ASHA})
    arrived = press(visitor, link(app, mail, "sign_in", "Sign In"), follow=False)
    assert arrived.location == page

    once_more = visitor.post(decline.action, data=again.fields)
    assert once_more.status_code == 400
    assert now_of(booking).status == "requested"
    final = forms(once_more)[-1]
    done = visitor.post(decline.action, data=final.fields, follow_redirects=True)
    assert done.status_code == 200
    assert now_of(booking).status == "declined"
    assert "I am away,\nsorry &lt;3" in done.text


@pytest.mark.parametrize("action", ["accept", "decline", "cancel", "no-show"])
def test_no_form_of_the_dashboard_acts_without_its_token(
    action: str, app: Flask, mail: MailServer, cast: Cast, visitor: Visitor
) -> None:
    booking = ask()
    sign_in(app, mail, visitor, ASHA)
    rows = all_rows()
    forged: dict[str, Any] = {"csrf_token": "forged", "agreed": "cancel_by_therapist.0.1"}
    path = f"/dashboard/sessions/{booking.reference}/{action}"
    for data in ({}, forged):
        assert visitor.post(path, data=data).status_code == 400
        assert another_visitor(app).post(path, data=data).status_code == 401
    assert all_rows() == rows
