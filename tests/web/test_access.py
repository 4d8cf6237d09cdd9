"""Who looked and who tried, as pages, links and the API record it."""

from datetime import timedelta
from typing import Any

import peewee
import pytest
from flask import Flask

from app import clock, config
from app.links import LinkPurpose
from app.rules.lifecycle import Actor
from app.services import access_trail
from app.services.bookings import messages
from app.services.clients.export import export_client
from app.store.models import AccessEntry, Booking, OutboxEmail, SignIn
from app.web.links import tokens
from tests.harness.page_stories import HOUR, all_rows, ask, forms, link, press, sign_in
from tests.harness.pages import text
from tests.harness.smtp_server import MailServer
from tests.scenarios.cast import TUESDAY_10, Cast
from tests.web.conftest import Visitor, another_visitor, counted_queries

Line = tuple[str, str, str, str]


def trail(**where: Any) -> list[Line]:
    """(event, about, by, via) of each row, oldest first."""
    rows = AccessEntry.select().order_by(AccessEntry.id)
    return [
        (str(each.event), each.about, str(each.by), str(each.via))
        for each in rows
        if all(getattr(each, name) == value for name, value in where.items())
    ]


@pytest.fixture
def booking(cast: Cast) -> Booking:
    """Dee's enquiry to Asha, with a note."""
    return ask()


def path_of(app: Flask, purpose: LinkPurpose, booking: Booking) -> str:
    with app.test_request_context():
        return tokens.path(purpose, booking)


@pytest.mark.both_databases
@pytest.mark.parametrize(
    ("purpose", "by"),
    [
        (LinkPurpose.ACCEPT, "therapist"),
        (LinkPurpose.DECLINE, "therapist"),
        (LinkPurpose.SESSION, "therapist"),
        (LinkPurpose.MANAGE, "client"),
        (LinkPurpose.CHOOSE, "client"),
    ],
)
def test_opening_a_link_writes_one_line_and_changes_nothing_else(
    purpose: LinkPurpose, by: str, app: Flask, booking: Booking, visitor: Visitor
) -> None:
    path, before = path_of(app, purpose, booking), all_rows()
    for _ in range(3):
        assert visitor.get(path).status_code in (200, 302)
        assert visitor.head(path).status_code in (200, 302)
    assert all_rows() == before
    assert trail(booking=booking) == [("link_opened", purpose, by, "link")]
    [line] = AccessEntry.select()
    assert (line.times, line.therapist, line.client) == (6, booking.therapist, booking.client)
    assert line.link_made_at == clock.now()


def test_the_opened_links_of_one_email_are_told_by_its_number(
    app: Flask, booking: Booking, mail: MailServer, visitor: Visitor
) -> None:
    paths = [link(app, mail, "booking_requested", name) for name in ("Accept", "Decline")]
    paths.append(link(app, mail, "booking_received", "Manage Booking"))
    for path in (*paths, path_of(app, LinkPurpose.ACCEPT, booking)):
        visitor.get(path)
    asked, received = OutboxEmail.select().order_by(OutboxEmail.id)
    rows = AccessEntry.select().order_by(AccessEntry.id)
    assert [(each.about, each.email_id) for each in rows] == [
        ("accept", asked.id),
        ("decline", asked.id),
        ("manage", received.id),
        # A link of a page.
        ("accept", None),
    ]


def test_opening_a_sign_in_link_is_on_record_and_leaves_it_unused(
    app: Flask, cast: Cast, mail: MailServer, visitor: Visitor
) -> None:
    visitor.post("/sign-in", data={"email": "asha@therapists.example"})
    path = link(app, mail, "sign_in", "Sign In")
    assert visitor.get(path).status_code == 200
    assert trail(therapist=cast.asha) == [
        ("sign_in_asked", "", "stranger", "page"),
        ("link_opened", "sign-in", "therapist", "link"),
    ]
    assert SignIn.get().used_at is None


def test_no_line_of_the_trail_holds_a_token_name_or_address(
    app: Flask, booking: Booking, visitor: Visitor
) -> None:
    token = path_of(app, LinkPurpose.MANAGE, booking).rpartition("/")[2]
    visitor.post(f"/link/manage/{token}")
    visitor.get(f"/link/accept/{token}")
    rows = repr(list(AccessEntry.select().tuples()))
    for word in (token, token[:20], "Dee", "dee@", "Asha", "127.0.0.1", booking.reference, "sleep"):
        assert word not in rows


def test_reading_the_note_by_a_press_and_on_the_session_page_is_on_record(
    app: Flask, booking: Booking, mail: MailServer, visitor: Visitor
) -> None:
    manage = path_of(app, LinkPurpose.MANAGE, booking)
    visitor.get(manage)
    messages.send(booking, "hello", author=Actor.CLIENT, now=clock.now())
    messages.keep_private_note(booking, "mine alone", now=clock.now())
    visitor.post(manage)
    asha = another_visitor(app)
    sign_in(app, mail, asha, "asha@therapists.example")
    by_client = ("read", "message note", "client", "link")
    asha.head(f"/dashboard/sessions/{booking.reference}")
    assert [each for each in trail(booking=booking) if each[0] == "read"] == [by_client]
    asha.get(f"/dashboard/sessions/{booking.reference}")
    assert [each for each in trail(booking=booking) if each[0] == "read"] == [
        by_client,
        ("read", "message note", "therapist", "dashboard"),
    ]


def test_a_page_without_words_is_no_reading(
    app: Flask, cast: Cast, mail: MailServer, visitor: Visitor
) -> None:
    booking = ask(note="")
    visitor.post(path_of(app, LinkPurpose.MANAGE, booking))
    assert [each for each in trail() if each[0] == "read"] == []


@pytest.mark.parametrize("what", ["sessions", "earnings"])
def test_a_therapists_csv_is_an_export_on_record(
    what: str, app: Flask, cast: Cast, mail: MailServer
) -> None:
    asha = another_visitor(app)
    sign_in(app, mail, asha, "asha@therapists.example")
    assert asha.get(f"/dashboard/{what}.csv").status_code == 200
    assert trail(therapist=cast.asha)[-1] == ("exported", what, "therapist", "dashboard")


def test_signing_in_and_out_is_on_record(
    app: Flask, cast: Cast, mail: MailServer, visitor: Visitor
) -> None:
    sign_in(app, mail, visitor, "asha@therapists.example")
    press(visitor, "/sign-out")
    assert [each for each in trail(therapist=cast.asha) if each[0] != "link_opened"] == [
        ("sign_in_asked", "", "stranger", "page"),
        ("signed_in", "", "therapist", "link"),
        ("signed_out", "", "therapist", "page"),
    ]


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer another-key"}])
def test_a_wrong_key_is_on_record_for_each_network(
    headers: dict[str, str], cast: Cast, visitor: Visitor
) -> None:
    for address in ("192.0.2.1", "192.0.2.2", "192.0.2.1"):
        visitor.get("/api/v1/therapists", headers=headers, environ_base={"REMOTE_ADDR": address})
    rows = AccessEntry.select().order_by(AccessEntry.id)
    assert [(str(each.event), str(each.by), each.times) for each in rows] == [
        ("wrong_key", "stranger", 2),
        ("wrong_key", "stranger", 1),
    ]


def test_a_key_that_may_only_read_is_on_record_where_it_would_write(
    cast: Cast, visitor: Visitor, caplog: pytest.LogCaptureFixture
) -> None:
    keys = {"api_keys": ("shop:read:the-key-of-the-shop",)}
    config.use(config.current().model_copy(update=keys))
    headers = {"Authorization": "Bearer the-key-of-the-shop"}
    visitor.get("/api/v1/therapists", headers=headers)
    visitor.post("/api/v1/bookings", headers=headers, json={})
    assert trail() == [("read_only_key", "api.create_booking", "ops", "api")]
    [line] = [each.msg for each in caplog.records if each.msg.get("event") == "read_only_key"]
    assert (line["about"], line["api_key"]) == ("api.create_booking", "shop")


def test_a_right_key_is_not_on_record(cast: Cast, call: Any) -> None:
    assert call("GET", "therapists").status_code == 200
    assert trail() == []


def test_a_used_sign_in_link_pressed_again_is_a_refusal(
    app: Flask, cast: Cast, mail: MailServer, visitor: Visitor
) -> None:
    sign_in(app, mail, visitor, "asha@therapists.example")
    path = link(app, mail, "sign_in", "Sign In")
    assert another_visitor(app).post(path).status_code == 410
    assert another_visitor(app).get(path).status_code == 410
    assert trail()[-2:] == [
        ("sign_in_refused", "links.sign_in", "stranger", "link"),
        ("link_refused", "links.show_sign_in", "stranger", "link"),
    ]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_bad_link_is_a_refusal_and_an_overtaken_answer_is_none(
    method: str, app: Flask, booking: Booking, visitor: Visitor, at: Any
) -> None:
    path = path_of(app, LinkPurpose.ACCEPT, booking)
    assert visitor.open(path + "x", method=method).status_code == 400
    assert [each[0] for each in trail()] == ["link_refused"]
    at(booking.expires_at)
    assert visitor.open(path, method=method).status_code == 410
    assert {each[0] for each in trail()[1:]} <= {"link_opened"}


@pytest.mark.parametrize(
    ("path", "typed", "endpoint"),
    [
        ("/sign-in", {"email": "no address"}, "auth.send_sign_in_link"),
        ("/my-links", {"email": "no address"}, "client.send_my_links"),
        ("/therapists/asha", {"name": ""}, "directory.request_session"),
        ("/dashboard/profile/sign-out-everywhere", {}, "signed_in.end_all"),
    ],
)
def test_a_refused_form_is_on_record(
    path: str, typed: dict[str, str], endpoint: str, cast: Cast, visitor: Visitor
) -> None:
    assert visitor.post(path, data=typed).status_code in (400, 401, 422)
    [(event, about, by, _)] = trail()
    assert (event, about, by) == ("form_refused", endpoint, "stranger")


def test_a_therapists_refused_form_names_the_therapist(
    app: Flask, booking: Booking, mail: MailServer
) -> None:
    asha = another_visitor(app)
    sign_in(app, mail, asha, "asha@therapists.example")
    answer = press(asha, f"/dashboard/sessions/{booking.reference}", "/message", message="")
    assert answer.status_code == 422
    assert trail(therapist=booking.therapist)[-1][:3] == (
        "form_refused", "session.send_message", "therapist",
    )  # fmt: skip


@pytest.mark.both_databases
def test_a_therapist_who_opens_the_session_of_another_is_on_record_and_told_to_its_own(
    app: Flask, cast: Cast, booking: Booking, mail: MailServer
) -> None:
    bran, asha, page = another_visitor(app), another_visitor(app), "/dashboard/sessions"
    sign_in(app, mail, bran, "bran@therapists.example")
    statuses = [
        bran.get(f"{page}/{booking.reference}").status_code,
        bran.post(f"{page}/{booking.reference}/note", data=form_token(bran)).status_code,
        bran.get(path_of(app, LinkPurpose.SESSION, booking)).status_code,
        bran.get(f"{page}/MB-222222").status_code,
    ]
    assert statuses == [404] * 4
    endpoints = ["session.show", "session.save_note", "links.view_session"]
    tried = [each for each in trail(therapist=cast.bran) if each[0] == "session_refused"]
    assert [each[1] for each in tried] == [*endpoints, "session.show"]
    assert {each[2] for each in tried} == {"therapist"}
    assert [each[1] for each in trail(booking=booking) if each[0] == "session_refused"] == endpoints
    sign_in(app, mail, asha, "asha@therapists.example")
    shown = text(asha.get(f"{page}/{booking.reference}"))
    assert shown.count("Another therapist tried to open it") == 3


def form_token(signed_in: Visitor) -> dict[str, str]:
    fields = forms(signed_in.get("/dashboard/profile"))[0].fields
    return {"csrf_token": fields["csrf_token"], "private_note": "Mine."}


def test_a_reached_limit_is_on_record(cast: Cast, limited: Visitor) -> None:
    for _ in range(7):
        answer = limited.post("/sign-in", data={"email": "x@elsewhere.example"})
    assert answer.status_code == 429
    assert trail()[-1] == ("limit_reached", "auth.send_sign_in_link", "stranger", "page")


@pytest.mark.both_databases
def test_a_page_is_answered_though_the_trail_cannot_be_written(
    app: Flask,
    booking: Booking,
    visitor: Visitor,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def failing(*_: Any) -> None:
        raise peewee.OperationalError("database or disk is full")

    monkeypatch.setattr(access_trail, "_add", failing)
    path = path_of(app, LinkPurpose.MANAGE, booking)
    assert visitor.get(path).status_code == 200
    assert visitor.post(path).status_code == 200
    lost = [each.msg["what"] for each in caplog.records if each.msg["event"] == "access_unrecorded"]
    assert lost == ["link_opened", "read"]


def test_opening_a_link_costs_one_statement_more(
    app: Flask, booking: Booking, visitor: Visitor
) -> None:
    path = path_of(app, LinkPurpose.ACCEPT, booking)
    with counted_queries() as seen:
        visitor.get(path)
    assert len([each for each in seen if "access_entry" in each]) == 1
    assert "INSERT" in seen[-1] or "COMMIT" in seen[-1].upper()


def test_what_the_web_recorded_leaves_the_command_line_as_ops(
    app: Flask, booking: Booking, visitor: Visitor
) -> None:
    visitor.get(path_of(app, LinkPurpose.ACCEPT, booking))
    assert access_trail.current_origin() == access_trail.COMMAND_LINE


def test_a_session_page_tells_its_therapist_when_they_and_ops_read_it(
    app: Flask, booking: Booking, mail: MailServer, visitor: Visitor, at: Any
) -> None:
    page = f"/dashboard/sessions/{booking.reference}"
    visitor.post(path_of(app, LinkPurpose.MANAGE, booking))
    asha = another_visitor(app)
    sign_in(app, mail, asha, "asha@therapists.example")
    first = text(asha.get(page))
    assert "Opened by you" not in first and "by ops" not in first
    assert text(asha.get(page)).count("Opened by you") == 1
    assert "Opened by you, 2 times" in text(asha.get(page))
    at(clock.now() + timedelta(minutes=5))
    export_client("dee@clients.example", clock.now())
    read = text(asha.get(page)).partition("When it was read")[2]
    assert read.index("9:05") < read.index("Exported by ops") < read.index("Opened by you")
    assert "Dee opened" not in read


def test_a_session_page_shows_nothing_of_another_booking(
    app: Flask, booking: Booking, mail: MailServer
) -> None:
    other = ask(name="Eli Ford", email="eli@clients.example", starts_at=TUESDAY_10 + HOUR)
    asha = another_visitor(app)
    sign_in(app, mail, asha, "asha@therapists.example")
    asha.get(f"/dashboard/sessions/{booking.reference}")
    export_client("dee@clients.example", clock.now())
    assert "When it was read" not in asha.get(f"/dashboard/sessions/{other.reference}").text
