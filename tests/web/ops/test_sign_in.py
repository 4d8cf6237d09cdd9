"""Signing in to the ops desk: who may, what each session opens, and what ends it."""

from datetime import timedelta
from typing import Any

import pytest
from flask import Flask
from peewee import IntegrityError

from app import clock, config
from app.cli import run
from app.services.jobs import due
from app.store.models import AccessEntry, AccessEvent, Party, SignIn, SignInSession
from tests.harness.page_stories import all_rows, forms, link, press, sign_in, sign_in_as_ops
from tests.harness.smtp_server import MailServer
from tests.scenarios.cast import Cast
from tests.scenarios.story import total
from tests.web.conftest import Visitor, another_visitor

OLU, PIA, ASHA = "olu@ops.example", "pia@ops.example", "asha@therapists.example"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def olu(app: Flask, mail: MailServer, cast: Cast) -> Visitor:
    """Somebody of ops, signed in."""
    visitor = another_visitor(app)
    sign_in_as_ops(app, mail, visitor)
    return visitor


def allow(*addresses: str) -> None:
    """Set OPS_SIGN_IN."""
    config.use(config.current().model_copy(update={"ops_sign_in": addresses}))


def is_in(visitor: Visitor) -> bool:
    answer = visitor.get("/ops")
    assert answer.status_code in (200, 302)
    return answer.status_code == 200


@pytest.mark.parametrize(
    "path", ["/ops", "/ops/", "/ops/sign-in", "/ops/bookings", "/ops/outbox/1/retry", "/ops/none"]
)
@pytest.mark.parametrize("method", ["get", "post", "put"])
def test_without_addresses_the_desk_is_not_there(path: str, method: str, olu: Visitor) -> None:
    allow()
    assert getattr(olu, method)(path).status_code == 404


def test_the_form_says_the_same_for_every_address(app: Flask, cast: Cast) -> None:
    before = all_rows()
    pages = {}
    for address in (OLU, ASHA, "eve@ops.example"):
        answer = another_visitor(app).post("/ops/sign-in", data={"email": address})
        pages[address] = (answer.status_code, answer.text.replace(address, ""))
    assert len(set(pages.values())) == 1
    after = all_rows()
    assert len(after.pop("EmailRequest")) == 3
    assert after | {"EmailRequest": []} == before


def test_only_an_address_of_the_setting_gets_a_link_however_it_is_spelt(
    app: Flask, mail: MailServer, cast: Cast, visitor: Visitor
) -> None:
    for typed in (ASHA, "eve@ops.example", "Olu@OPS.example"):
        visitor.post("/ops/sign-in", data={"email": typed})
    path = link(app, mail, "ops_sign_in", "Sign In")
    assert [(each.kind, each.rcpt_tos) for each in mail.messages] == [("ops_sign_in", (OLU,))]
    page = visitor.get(path)
    assert "ops desk" in page.text
    assert OLU in page.text
    assert press(visitor, path, follow=False).location == "/ops"


def test_a_link_works_once_for_fifteen_minutes(
    app: Flask, mail: MailServer, cast: Cast, visitor: Visitor, at: Any
) -> None:
    visitor.post("/ops/sign-in", data={"email": OLU})
    path = link(app, mail, "ops_sign_in", "Sign In")
    thief = another_visitor(app)
    assert press(visitor, path, follow=False).status_code == 303
    assert thief.get(path).status_code == thief.post(path).status_code == 410
    visitor.post("/ops/sign-in", data={"email": PIA})
    path = link(app, mail, "ops_sign_in", "Sign In")
    at(clock.now() + timedelta(minutes=15))
    assert thief.post(path).status_code == 410


def test_neither_session_opens_what_the_other_does(
    app: Flask, mail: MailServer, olu: Visitor
) -> None:
    assert is_in(olu)
    assert olu.get("/dashboard").status_code == 302
    asha = another_visitor(app)
    sign_in(app, mail, asha, ASHA)
    assert not is_in(asha)
    for mine, theirs, visitor in (
        ("mindsum-ops-session", "mindsum-session", olu),
        ("mindsum-session", "mindsum-ops-session", asha),
    ):
        cookie = visitor.get_cookie(mine)
        assert cookie is not None
        visitor.set_cookie(theirs, cookie.value)
    assert olu.get("/dashboard").status_code == 302
    assert not is_in(asha)


def test_a_person_who_is_both_is_told_apart(
    app: Flask, mail: MailServer, cast: Cast, visitor: Visitor
) -> None:
    allow(ASHA)
    visitor.post("/sign-in", data={"email": ASHA})
    dashboard = link(app, mail, "sign_in", "Sign In")
    visitor.post("/ops/sign-in", data={"email": ASHA})
    desk = link(app, mail, "ops_sign_in", "Sign In")
    assert "ops desk" not in visitor.get(dashboard).text
    assert "ops desk" in visitor.get(desk).text
    assert press(visitor, desk, follow=False).location == "/ops"
    assert visitor.get("/dashboard").status_code == 302
    assert press(visitor, dashboard, follow=False).location == "/dashboard"
    assert is_in(visitor)
    press(visitor, "/ops", "/ops/sign-out")
    assert visitor.get("/dashboard").status_code == 200


def test_an_address_that_is_taken_out_is_signed_out_for_good(olu: Visitor) -> None:
    allow(PIA)
    assert not is_in(olu)
    allow(OLU, PIA)
    assert not is_in(olu)


def test_the_purge_ends_what_belongs_to_addresses_that_were_taken_out(
    app: Flask, mail: MailServer, olu: Visitor
) -> None:
    olu.post("/ops/sign-in", data={"email": OLU})
    waiting = link(app, mail, "ops_sign_in", "Sign In")
    allow(PIA)
    total(due.purge(clock.now()))
    allow(OLU, PIA)
    assert not is_in(olu)
    assert olu.get(waiting).status_code == 410


@pytest.mark.parametrize(
    ("keep", "wait", "lasts"),
    [
        ("", 12 * HOUR, False),
        ("", 11 * HOUR, True),
        ("yes", 13 * DAY, True),
        ("yes", 14 * DAY, False),
    ],
)
def test_it_lasts_as_long_as_a_therapists(
    keep: str, wait: timedelta, lasts: bool, app: Flask, mail: MailServer, cast: Cast, at: Any
) -> None:
    visitor = another_visitor(app)
    visitor.post("/ops/sign-in", data={"email": OLU})
    press(visitor, link(app, mail, "ops_sign_in", "Sign In"), **({"keep": keep} if keep else {}))
    at(clock.now() + wait)
    assert is_in(visitor) is lasts


def test_own_sessions_are_listed_and_ended(app: Flask, mail: MailServer, olu: Visitor) -> None:
    other = another_visitor(app)
    sign_in_as_ops(app, mail, other)
    pia = another_visitor(app)
    sign_in_as_ops(app, mail, pia, PIA)
    page = olu.get("/ops/sign-ins")
    assert page.text.count('action="/ops/sign-ins/end-one"') == 2
    older = (
        SignInSession.select()
        .where(SignInSession.ops_address == OLU)
        .order_by(SignInSession.id.desc())
        .get()
    )
    token = forms(page)[0].fields["csrf_token"]
    olu.post("/ops/sign-ins/end-one", data={"csrf_token": token, "id": older.id})
    assert (is_in(olu), is_in(other), is_in(pia)) == (True, False, True)
    foreign = SignInSession.get(SignInSession.ops_address == PIA)
    answer = olu.post("/ops/sign-ins/end-one", data={"csrf_token": token, "id": foreign.id})
    assert answer.status_code == 404
    assert press(olu, "/ops/sign-ins", "/end-all", follow=False).location == "/ops/sign-in"
    assert (is_in(olu), is_in(pia)) == (False, True)


def test_ops_can_sign_everybody_out(app: Flask, mail: MailServer, olu: Visitor) -> None:
    asha = another_visitor(app)
    sign_in(app, mail, asha, ASHA)
    assert run(["therapist", "sign-out", "--all"], create=lambda: app) == 0
    assert not is_in(olu)
    assert asha.get("/dashboard").status_code == 302


def test_over_another_persons_session_it_asks_first(
    app: Flask, mail: MailServer, olu: Visitor
) -> None:
    olu.post("/ops/sign-in", data={"email": PIA})
    path = link(app, mail, "ops_sign_in", "Sign In")
    assert f"{OLU} is signed in" in olu.get(path).text
    assert olu.post(path).status_code == 200
    assert "olu@ops.example" in olu.get("/ops").text
    press(olu, path)
    assert "pia@ops.example" in olu.get("/ops").text
    assert SignInSession.select().where(SignInSession.ended_at.is_null(False)).count() == 1


def test_the_page_that_was_asked_for_comes_after_sign_in(
    app: Flask, mail: MailServer, cast: Cast, visitor: Visitor
) -> None:
    sent_away = visitor.get("/ops/bookings?client=1")
    assert sent_away.location == "/ops/sign-in?next=/ops/bookings"
    asked = visitor.get(sent_away.location)
    visitor.post("/ops/sign-in", data={**forms(asked)[0].fields, "email": OLU})
    arrived = press(visitor, link(app, mail, "ops_sign_in", "Sign In"), follow=False)
    assert arrived.location == "/ops/bookings"
    assert visitor.get("/ops/sign-in?next=/dashboard").location == "/ops"


def test_no_form_of_the_desk_acts_without_its_token(app: Flask, olu: Visitor) -> None:
    before = all_rows()
    posts = [
        rule.rule
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/ops") and "POST" in (rule.methods or ())
    ]
    assert len(posts) > 12
    for rule in posts:
        path = rule.replace("<int:number>", "1").replace("<slug>", "asha")
        path = path.replace("<reference>", "MB-222222").replace("<who>", "client")
        if path == "/ops/sign-in":
            continue
        assert olu.post(path, data={"csrf_token": "forged"}).status_code == 400, path
        if path != "/ops/sign-out":
            assert another_visitor(app).post(path).status_code == 401, path
    assert all_rows() == before


@pytest.mark.both_databases
def test_a_row_belongs_to_one_owner(cast: Cast) -> None:
    for owner in ({}, {"therapist": cast.asha, "ops_address": OLU}):
        with pytest.raises(IntegrityError):
            SignIn.insert(key="k", next_path="/", created_at=clock.now(), **owner).execute()


def test_signing_in_and_out_is_on_record_with_the_address(olu: Visitor) -> None:
    press(olu, "/ops", "/ops/sign-out")
    rows = AccessEntry.select().where(
        AccessEntry.event.in_([AccessEvent.SIGNED_IN, AccessEvent.SIGNED_OUT])
    )
    assert [(each.event, each.by, each.ops_address) for each in rows.order_by(AccessEntry.id)] == [
        (AccessEvent.SIGNED_IN, Party.OPS, OLU),
        (AccessEvent.SIGNED_OUT, Party.OPS, OLU),
    ]
