"""Signed links: what opening shows, what pressing does, and what each state answers."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from app import clock, links
from app.links import LinkPurpose
from app.rules.lifecycle import Actor, Move, Status, Via
from app.services.bookings import cancel, transitions
from app.store.models import Booking, OutboxEmail, TimelineEntry, Writing
from app.web.links import tokens as link_tokens
from tests.harness.page_stories import HOUR, all_rows, ask, forms, link, now_of, press, sign_in
from tests.harness.pages import has_word
from tests.harness.smtp_server import MailServer
from tests.scenarios.cast import Cast
from tests.web.conftest import Visitor, another_visitor

BY_LINK = {"by": Actor.THERAPIST, "via": Via.LINK}


def moved(move: Move, by: Actor) -> Callable[[Booking, Any], Any]:
    return lambda booking, _at: transitions.make_move(
        booking, move, by=by, via=Via.LINK, now=clock.now()
    )


def token_path(purpose: LinkPurpose, booking: Booking, **other: Any) -> str:
    holder = "c" if purpose in (LinkPurpose.MANAGE, LinkPurpose.CHOOSE) else "t"
    person = booking.client_id if holder == "c" else booking.therapist_id
    said = {"holder": f"{holder}{person}", "subject": booking.reference, **other}
    return f"/link/{purpose}/{links.mint(purpose, **said)}"


def test_accepting_from_the_email_tells_both_and_shows_what_comes_next(
    app: Flask, mail: MailServer, cast: Cast, visitor: Visitor
) -> None:
    booking = ask()
    path = link(app, mail, "booking_requested", "Accept")
    asked = visitor.get(path)
    assert asked.status_code == 200
    for said in ("Dee", "Tue 3 Nov 2026, 10:00–10:50 (London, GMT)", "50 minutes", "£60.00",
                 "£54.00", "Mon 2 Nov 2026, 12:00"):  # fmt: skip
        assert said in asked.text
    for hidden in ("Stone", "I sleep badly", "dee@clients.example"):
        assert hidden not in asked.text
    assert [form.buttons for form in forms(asked)] == [1]

    done = press(visitor, path)
    assert done.status_code == 200
    assert "What happens next" in done.text
    assert now_of(booking).status is Status.ACCEPTED
    assert link(app, mail, "booking_accepted", "Manage Booking")
    assert link(app, mail, "session_confirmed", "View Session")


def test_a_reason_waits_behind_the_clients_link_and_travels_in_no_email(
    app: Flask, mail: MailServer, cast: Cast, visitor: Visitor
) -> None:
    booking = ask()
    reason = "I am away that week.\nBest wishes, <b>Asha</b>"
    done = press(visitor, link(app, mail, "booking_requested", "Decline"), reason=reason)
    assert done.status_code == 200
    assert now_of(booking).status is Status.DECLINED
    manage = visitor.get(link(app, mail, "booking_declined", "Manage Booking"))
    assert "I am away that week.\nBest wishes, &lt;b&gt;Asha&lt;/b&gt;" in manage.text
    assert not any(b"away that week" in sent.raw for sent in mail.messages)


@pytest.mark.parametrize(
    ("meanwhile", "status"),
    [
        (moved(Move.WITHDRAW, Actor.CLIENT), 409),
        (moved(Move.ACCEPT, Actor.THERAPIST), 409),
        (moved(Move.DECLINE, Actor.THERAPIST), 200),
        (lambda booking, at: at(booking.expires_at), 410),
    ],
    ids=["withdrawn", "accepted", "declined", "expired"],
)
def test_a_reason_that_was_not_passed_on_is_handed_back(
    cast: Cast, visitor: Visitor, at: Any, meanwhile: Any, status: int
) -> None:
    booking = ask()
    path = token_path(LinkPurpose.DECLINE, booking)
    meanwhile(booking, at)
    answer = visitor.post(path, data={"reason": "I am <away> then."})
    assert answer.status_code == status
    assert "This was not sent" in answer.text
    assert "I am &lt;away&gt; then." in answer.text
    assert not Writing.select().where(Writing.purpose == "reason").exists()


def test_the_same_reason_sent_twice_is_not_said_to_be_lost(cast: Cast, visitor: Visitor) -> None:
    path = token_path(LinkPurpose.DECLINE, ask())
    answers = [visitor.post(path, data={"reason": "I am away."}) for _ in range(2)]
    assert answers[0].text == answers[1].text
    assert "This was not sent" not in answers[0].text


def test_a_reason_that_cannot_be_taken_keeps_what_was_typed_and_declines_nothing(
    app: Flask, mail: MailServer, cast: Cast, visitor: Visitor
) -> None:
    booking = ask()
    path = link(app, mail, "booking_requested", "Decline")
    long = "so sorry " * 500
    refused = visitor.post(path, data={"reason": long})
    assert refused.status_code == 422
    assert "4000 characters or fewer" in refused.text
    assert forms(refused)[0].fields["reason"].strip() == long.strip()
    assert now_of(booking).status is Status.REQUESTED


def _accepted(booking: Booking) -> None:
    transitions.make_move(booking, Move.ACCEPT, now=clock.now(), **BY_LINK)


def _declined(booking: Booking) -> None:
    transitions.make_move(booking, Move.DECLINE, now=clock.now(), **BY_LINK)


def _withdrawn(booking: Booking) -> None:
    transitions.make_move(booking, Move.WITHDRAW, by=Actor.CLIENT, via=Via.LINK, now=clock.now())


def _cancelled(booking: Booking) -> None:
    _accepted(booking)
    cancel.cancel(booking, by=Actor.CLIENT, via=Via.LINK, now=clock.now())


def _untouched(booking: Booking) -> None:
    assert booking.status is Status.REQUESTED


STATES: tuple[tuple[Callable[[Booking], None], timedelta, LinkPurpose, int, Status], ...] = (
    (_untouched, 0 * HOUR, LinkPurpose.ACCEPT, 200, Status.ACCEPTED),
    (_untouched, 0 * HOUR, LinkPurpose.DECLINE, 200, Status.DECLINED),
    (_untouched, 5 * HOUR, LinkPurpose.ACCEPT, 200, Status.ACCEPTED),
    (_untouched, 5 * HOUR, LinkPurpose.DECLINE, 200, Status.DECLINED),
    (_untouched, 24 * HOUR - timedelta(seconds=1), LinkPurpose.ACCEPT, 200, Status.ACCEPTED),
    (_untouched, 24 * HOUR, LinkPurpose.ACCEPT, 410, Status.EXPIRED),
    (_untouched, 24 * HOUR, LinkPurpose.DECLINE, 410, Status.EXPIRED),
    (_untouched, 2400 * HOUR, LinkPurpose.ACCEPT, 410, Status.EXPIRED),
    (_accepted, 0 * HOUR, LinkPurpose.ACCEPT, 200, Status.ACCEPTED),
    (_accepted, 24 * HOUR, LinkPurpose.ACCEPT, 200, Status.ACCEPTED),
    (_accepted, 0 * HOUR, LinkPurpose.DECLINE, 409, Status.ACCEPTED),
    (_declined, 0 * HOUR, LinkPurpose.DECLINE, 200, Status.DECLINED),
    (_declined, 0 * HOUR, LinkPurpose.ACCEPT, 409, Status.DECLINED),
    (_declined, 48 * HOUR, LinkPurpose.ACCEPT, 409, Status.DECLINED),
    (_withdrawn, 0 * HOUR, LinkPurpose.ACCEPT, 409, Status.WITHDRAWN),
    (_withdrawn, 0 * HOUR, LinkPurpose.DECLINE, 409, Status.WITHDRAWN),
    (_cancelled, 0 * HOUR, LinkPurpose.ACCEPT, 409, Status.CANCELLED_BY_CLIENT),
)


@pytest.mark.parametrize(("before", "later", "purpose", "status", "becomes"), STATES)
def test_opening_and_pressing_answer_alike_and_only_pressing_acts(
    before: Callable[[Booking], None],
    later: timedelta,
    purpose: LinkPurpose,
    status: int,
    becomes: Status,
    cast: Cast,
    visitor: Visitor,
    at: Any,
) -> None:
    booking = ask()
    before(booking)
    at(clock.now() + later)
    path = token_path(purpose, booking)
    rows = all_rows()
    assert visitor.get(path).status_code == status
    assert visitor.head(path).status_code == status
    assert all_rows() == rows

    first = visitor.post(path)
    assert first.status_code == status
    assert now_of(booking).status is becomes
    rows = all_rows()
    again = visitor.post(path)
    assert (again.status_code, again.text) == (status, first.text)
    assert all_rows() == rows


def test_mail_scanners_that_open_every_link_twice_change_nothing(
    app: Flask, mail: MailServer, cast: Cast, visitor: Visitor
) -> None:
    ask()
    visitor.post("/sign-in", data={"email": "asha@therapists.example"})
    paths = [
        link(app, mail, kind, name)
        for kind, name in (
            ("booking_requested", "Accept"),
            ("booking_requested", "Decline"),
            ("booking_requested", "View Session"),
            ("booking_received", "Manage Booking"),
            ("sign_in", "Sign In"),
        )
    ]
    paths += [paths[3] + "/cancel", paths[3].replace("/manage/", "/choose/")]
    rows = all_rows()
    for path in paths * 2:
        visitor.head(path)
        visitor.get(path)
    assert all_rows() == rows


def test_a_token_does_only_what_it_is_for(cast: Cast, visitor: Visitor) -> None:
    booking = ask()
    tokens = {purpose: token_path(purpose, booking).rpartition("/")[2] for purpose in LinkPurpose}
    rows = all_rows()
    for page in LinkPurpose:
        for purpose, token in tokens.items():
            if purpose is not page:
                assert visitor.get(f"/link/{page}/{token}").status_code == 400
                assert visitor.post(f"/link/{page}/{token}").status_code in (400, 405)
    assert all_rows() == rows


@pytest.mark.parametrize(
    "purpose",
    [
        LinkPurpose.ACCEPT,
        LinkPurpose.DECLINE,
        LinkPurpose.SESSION,
        LinkPurpose.MANAGE,
        LinkPurpose.CHOOSE,
    ],
)
def test_broken_and_orphaned_links_say_so_and_nothing_more(
    purpose: LinkPurpose, cast: Cast, visitor: Visitor
) -> None:
    booking = ask()
    good = token_path(purpose, booking)
    for broken in (good[:-1], good[:-20], good + "x" * 500, f"/link/{purpose}/nonsense"):
        assert visitor.get(broken).status_code == 400
    for orphaned in (
        token_path(purpose, booking, subject="MB-222222"),
        token_path(purpose, booking, epoch=2),
        token_path(purpose, booking, holder="t99"),
    ):
        gone = visitor.get(orphaned)
        assert gone.status_code == 404
        assert not has_word("Dee", gone.text)
        assert booking.reference not in gone.text


@pytest.mark.parametrize(
    "purpose", [LinkPurpose.ACCEPT, LinkPurpose.DECLINE, LinkPurpose.MANAGE, LinkPurpose.CHOOSE]
)
def test_link_pages_neither_set_nor_read_a_cookie_and_are_never_kept(
    purpose: LinkPurpose, cast: Cast, visitor: Visitor
) -> None:
    booking = ask()
    path = token_path(purpose, booking)
    for answer in (visitor.get(path), visitor.post(path), visitor.get(path + "x")):
        assert "Set-Cookie" not in answer.headers
        assert "Cookie" not in answer.headers.get("Vary", "")
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["X-Robots-Tag"] == "noindex"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert "<script" not in answer.text


def test_view_session_asks_for_sign_in_and_goes_on_to_that_very_session(
    app: Flask, mail: MailServer, cast: Cast, visitor: Visitor
) -> None:
    booking = ask()
    path = link(app, mail, "booking_requested", "View Session")
    first = visitor.get(path)
    assert first.status_code == 302
    assert path.rpartition("/")[2] not in first.location
    asked = visitor.get(first.location)
    visitor.post("/sign-in", data={**forms(asked)[0].fields, "email": "Asha@Therapists.example"})
    arrived = press(visitor, link(app, mail, "sign_in", "Sign In"), follow=False)
    assert arrived.status_code == 303
    assert arrived.location == f"/dashboard/sessions/{booking.reference}"
    assert "I sleep badly." in visitor.get(arrived.location).text
    assert visitor.get(path).location == f"/dashboard/sessions/{booking.reference}"


def test_view_session_of_another_therapist_is_not_there(
    app: Flask, mail: MailServer, cast: Cast, visitor: Visitor
) -> None:
    path = token_path(LinkPurpose.SESSION, ask())
    sign_in(app, mail, visitor, "bran@therapists.example")
    assert visitor.get(path).status_code == 404


def test_a_sign_in_link_works_once(
    app: Flask, mail: MailServer, cast: Cast, visitor: Visitor
) -> None:
    visitor.post("/sign-in", data={"email": "asha@therapists.example"})
    path = link(app, mail, "sign_in", "Sign In")
    assert visitor.get(path).status_code == 200
    assert press(visitor, path, follow=False).location == "/dashboard"
    other = another_visitor(app)
    for used in (other.get(path), other.post(path)):
        assert used.status_code == 410
        assert forms(used)[0].action == "/sign-in"
    assert other.get("/dashboard").status_code == 302


def test_a_sign_in_link_lasts_fifteen_minutes(
    app: Flask, mail: MailServer, cast: Cast, visitor: Visitor, at: Any
) -> None:
    visitor.post("/sign-in", data={"email": "asha@therapists.example"})
    path = link(app, mail, "sign_in", "Sign In")
    at(clock.now() + timedelta(minutes=15))
    assert visitor.get(path).status_code == 410
    assert visitor.post(path).status_code == 410


def test_answers_are_recorded_as_the_therapists_through_a_link(
    cast: Cast, visitor: Visitor
) -> None:
    booking = ask()
    visitor.post(token_path(LinkPurpose.DECLINE, booking), data={"reason": "Away."})
    line = TimelineEntry.get(booking=booking, event="declined")
    assert (line.by, line.via) == (Actor.THERAPIST, Via.LINK)
    assert [each.body for each in Writing.select().order_by(Writing.id)] == [
        "I sleep badly.",
        "Away.",
    ]
    assert OutboxEmail.select().where(OutboxEmail.kind == "booking_declined").count() == 1


def test_pages_link_with_tokens_that_open(app: Flask, cast: Cast, visitor: Visitor) -> None:
    booking = ask()
    with app.test_request_context():
        paths = [
            link_tokens.path(purpose, booking)
            for purpose in LinkPurpose
            if purpose not in (LinkPurpose.SIGN_IN, LinkPurpose.CONFIRM)
        ]
    for path in paths:
        # 409: no other time is proposed.
        assert visitor.get(path).status_code in (200, 302, 409)
