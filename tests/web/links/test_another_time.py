"""Another time by links and pages: GET shows, POST acts, and old links show the new time."""

from datetime import timedelta

import pytest
from flask import Flask

from app.rules.lifecycle import Actor, Status
from app.store.models import Booking, Proposal
from tests.harness.page_stories import (
    all_rows,
    ask,
    forms,
    link,
    now_of,
    press,
    sign_in,
)
from tests.harness.smtp_server import MailServer
from tests.scenarios.cast import TUESDAY_10, Cast
from tests.scenarios.story import Story
from tests.web.conftest import Visitor

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
WEDNESDAY_10 = TUESDAY_10 + DAY
THURSDAY_10 = TUESDAY_10 + 2 * DAY
KEY = {at: at.strftime("%Y-%m-%dT%H:%M:%SZ") for at in (WEDNESDAY_10, THURSDAY_10)}


def accepted(story: Story) -> Booking:
    booking = ask()
    story.accept(booking)
    return now_of(booking)


def test_a_therapist_suggests_and_the_client_takes_a_time_by_links_alone(
    app: Flask, mail: MailServer, cast: Cast, visitor: Visitor
) -> None:
    booking = ask()
    path = link(app, mail, "booking_requested", "Suggest another time")
    before = all_rows()
    page = visitor.get(path)
    assert page.status_code == 200
    assert KEY[WEDNESDAY_10] in page.text
    # Other days are shown, with what was chosen kept, and nothing happens.
    later = visitor.post(path, data={"starts": KEY[WEDNESDAY_10], "show": "2026-11-12"})
    assert "Chosen on other days" in later.text
    assert all_rows() == before
    assert visitor.post(path, data={}).status_code == 422
    done = visitor.post(path, data={"starts": [KEY[WEDNESDAY_10], KEY[THURSDAY_10]]})
    assert done.status_code == 200
    assert "can choose now" in done.text
    assert visitor.post(path, data={"starts": KEY[WEDNESDAY_10]}).status_code == 409

    # The old time can still be accepted, and the page says what that would end.
    accepting = visitor.get(link(app, mail, "booking_requested", "Accept"))
    assert "the others are free again" in accepting.text
    mail_link = link(app, mail, "time_proposed", "Wed 4 Nov 2026, 05:00 (New York, EST)")
    before = all_rows()
    asked = visitor.get(mail_link)
    assert [form.buttons for form in forms(asked)] == [1]
    assert "Nothing has happened yet" in asked.text
    assert all_rows() == before
    taken = visitor.post(mail_link, data={"starts_at": KEY[WEDNESDAY_10]})
    assert taken.status_code == 200
    assert "is confirmed" in taken.text
    present = now_of(booking)
    assert (present.status, present.starts_at) == (Status.ACCEPTED, WEDNESDAY_10)
    # The same press again shows the same; another one shows the new time and does nothing.
    assert visitor.post(mail_link, data={"starts_at": KEY[WEDNESDAY_10]}).status_code == 200
    other = visitor.post(mail_link, data={"starts_at": KEY[THURSDAY_10]})
    assert other.status_code == 409
    for stale in (path, link(app, mail, "booking_requested", "Accept")):
        for old in (visitor.get(stale), visitor.post(stale)):
            assert old.status_code == 409
            assert "Wed 4 Nov 2026, 10:00" in old.text
    assert now_of(booking).starts_at == WEDNESDAY_10


def test_the_client_keeps_the_old_time_by_a_link(
    app: Flask, mail: MailServer, cast: Cast, visitor: Visitor, story: Story
) -> None:
    booking = ask()
    story.propose(booking, WEDNESDAY_10)
    path = link(app, mail, "time_proposed", "Keep the old time")
    assert visitor.get(path).status_code == 200
    assert Proposal.get().outcome is None
    kept = press(visitor, path)
    assert kept.status_code == 200
    assert "Waiting for Asha" in kept.text
    assert press(visitor, path).status_code == 200
    # The therapist's new email answers it.
    accept = link(app, mail, "time_kept", "Accept")
    assert press(visitor, accept).status_code == 200
    assert now_of(booking).status is Status.ACCEPTED
    # The time that was offered is no longer there.
    assert visitor.get(path).status_code == 409


def test_a_client_moves_an_enquiry_and_asks_to_move_a_session(
    app: Flask, mail: MailServer, cast: Cast, visitor: Visitor, story: Story
) -> None:
    booking = ask()
    manage = link(app, mail, "booking_received", "Manage Booking")
    page = visitor.get(f"{manage}/move")
    assert 'type="radio"' in page.text
    moved = visitor.post(f"{manage}/move", data={"starts": KEY[WEDNESDAY_10]})
    assert moved.status_code == 200
    assert now_of(booking).starts_at == WEDNESDAY_10
    again = visitor.post(f"{manage}/move", data={"starts": KEY[WEDNESDAY_10]})
    assert again.status_code == 200
    assert visitor.get(manage).status_code == 409

    press(visitor, link(app, mail, "time_taken", "Accept"))
    assert now_of(booking).status is Status.ACCEPTED
    manage = link(app, mail, "booking_accepted", "Manage Booking")
    form = visitor.get(f"{manage}/move")
    assert "declines or does not answer, you can still cancel within 1 hour" in form.text
    asked = visitor.post(f"{manage}/move", data={"starts": [KEY[THURSDAY_10]]})
    assert "You asked for another time" in asked.text
    agree = link(app, mail, "time_proposed", "Thu 5 Nov 2026, 10:00 (London, GMT)")
    before = all_rows()
    assert "waive" not in visitor.get(agree).text
    assert all_rows() == before
    done = visitor.post(agree, data={"starts_at": KEY[THURSDAY_10]})
    assert done.status_code == 200
    assert visitor.post(agree, data={"starts_at": KEY[THURSDAY_10]}).status_code == 200
    assert now_of(booking).starts_at == THURSDAY_10


@pytest.mark.parametrize("is_waived", [False, True])
def test_the_rule_and_its_waiver_are_said_before_the_press(
    app: Flask, mail: MailServer, cast: Cast, visitor: Visitor, story: Story, is_waived: bool
) -> None:
    booking = accepted(story)
    story.at(TUESDAY_10 - 23 * HOUR)
    manage = link(app, mail, "booking_accepted", "Manage Booking")
    page = visitor.get(f"{manage}/move")
    assert "£60.00 is due if you cancel, however early, unless Asha waives it" in page.text
    visitor.post(f"{manage}/move", data={"starts": KEY[THURSDAY_10]})
    agree = link(app, mail, "time_proposed", "Thu 5 Nov 2026, 10:00 (London, GMT)")
    assert "Let Dee cancel as if" in visitor.get(agree).text
    waiver = {"waive_notice": "yes"} if is_waived else {}
    visitor.post(agree, data={"starts_at": KEY[THURSDAY_10], **waiver})
    told = visitor.get(f"{link(app, mail, 'time_taken', 'Manage Booking')}/cancel")
    assert ("Cancel and pay £60.00" in told.text) is not is_waived
    assert now_of(booking).is_moved_late is not is_waived


def test_a_therapist_asks_from_the_dashboard_and_the_client_cancels_for_free(
    app: Flask, mail: MailServer, cast: Cast, visitor: Visitor, story: Story
) -> None:
    booking = accepted(story)
    story.at(TUESDAY_10 - 5 * HOUR)
    sign_in(app, mail, visitor, "asha@therapists.example")
    session = visitor
    page = session.get(f"/dashboard/sessions/{booking.reference}/move")
    assert "it counts as your cancellation" in page.text
    token = forms(page)[-1].fields["csrf_token"]
    sent = session.post(
        f"/dashboard/sessions/{booking.reference}/move",
        data={"csrf_token": token, "starts": KEY[THURSDAY_10]},
    )
    assert sent.status_code == 303
    manage = link(app, mail, "time_proposed", "Manage Booking")
    assert "asks to move it" in visitor.get(manage).text
    asked = visitor.get(f"{manage}/cancel")
    assert "If you cancel now, nothing is charged." in asked.text
    ended = press(visitor, f"{manage}/cancel")
    assert "had asked to move it" in ended.text
    assert now_of(booking).status is Status.CANCELLED_BY_THERAPIST
    assert story.balances(booking)["client"] == 0


def test_the_dashboard_answers_a_clients_question(
    app: Flask, mail: MailServer, cast: Cast, visitor: Visitor, story: Story
) -> None:
    booking = accepted(story)
    story.propose(booking, THURSDAY_10, by=Actor.CLIENT)
    sign_in(app, mail, visitor, "asha@therapists.example")
    session = visitor
    assert "asks for another time" in session.get("/dashboard?tab=upcoming").text
    page = session.get(f"/dashboard/sessions/{booking.reference}")
    by_action = {form.action.rpartition("/")[2]: form.fields for form in forms(page)}
    token = by_action["agree"]["csrf_token"]
    done = session.post(
        f"/dashboard/sessions/{booking.reference}/agree",
        data={"csrf_token": token, "starts_at": KEY[THURSDAY_10]},
    )
    assert done.status_code == 303
    assert now_of(booking).starts_at == THURSDAY_10
    late = session.post(
        f"/dashboard/sessions/{booking.reference}/refuse", data={"csrf_token": token}
    )
    assert late.status_code == 409


def test_the_same_time_next_week_fills_in_the_request_form(
    app: Flask, mail: MailServer, cast: Cast, visitor: Visitor, story: Story
) -> None:
    booking = accepted(story)
    page = visitor.get(link(app, mail, "booking_accepted", "Manage Booking"))
    form = next(each for each in forms(page) if each.action.endswith("/next-week"))
    count = Booking.select().count()
    sent_on = visitor.post(form.action, data=form.fields)
    # A browser sends the same form again to where 307 points.
    assert (sent_on.status_code, sent_on.location) == (307, "/therapists/asha#request")
    filled = visitor.post("/therapists/asha", data=form.fields)
    assert filled.status_code == 200
    for typed in ("Dee Stone", "dee@clients.example", "2026-11-10T10:00:00Z"):
        assert typed in filled.text
    assert Booking.select().count() == count
    story.at(booking.completes_at)
    story.sweep()
    assert now_of(booking).status is Status.COMPLETED
