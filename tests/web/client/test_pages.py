"""The client's pages: what is said before a click is what the click does."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
from flask import Flask

from app import clock
from app.rules.lifecycle import Actor, Kind, Move, Status, Via
from app.services.bookings import ledger, replace, transitions
from app.store.db import database
from app.store.models import Booking, OutboxEmail, Writing
from tests.harness.page_stories import (
    HOUR,
    TUESDAY_10,
    all_rows,
    ask,
    forms,
    hours_before,
    link,
    now_of,
    press,
)
from tests.harness.pages import has_word
from tests.harness.smtp_server import MailServer
from tests.harness.waiting import PATIENCE_S
from tests.scenarios.cast import MONDAY, Cast
from tests.web.conftest import Visitor, counted_queries

THURSDAY_10 = TUESDAY_10 + 48 * HOUR


def accept(booking: Booking) -> None:
    transitions.make_move(booking, Move.ACCEPT, by=Actor.THERAPIST, via=Via.LINK, now=clock.now())


def decline(booking: Booking) -> None:
    transitions.make_move(booking, Move.DECLINE, by=Actor.THERAPIST, via=Via.LINK, now=clock.now())


def balance(booking: Booking) -> dict[str, int]:
    totals: dict[str, int] = {}
    for line in ledger.lines_of(booking):
        totals[line.account] = totals.get(line.account, 0) + line.amount_minor
    return {account: amount for account, amount in totals.items() if amount}


def manage(app: Flask, mail: MailServer) -> str:
    return link(app, mail, "booking_received", "Manage Booking")


def test_manage_booking_says_where_it_stands_in_the_clients_own_time(
    app: Flask, mail: MailServer, cast: Cast, visitor: Visitor
) -> None:
    booking = ask()
    page = visitor.get(manage(app, mail)).text
    assert "Waiting for Asha’s answer" in page
    assert "Tue 3 Nov 2026, 05:00–05:50 (New York, EST)" in page
    assert "Mon 2 Nov 2026, 07:00<" in page
    assert "I sleep badly." not in page
    assert not has_word("GMT", page)
    accept(booking)
    page = visitor.get(manage(app, mail)).text
    assert "is confirmed" in page
    assert "https://meet.example/asha" in page
    assert "Asha accepted." in page


def test_a_client_abroad_keeps_their_own_hour_while_only_london_changes_clocks(
    app: Flask, mail: MailServer, cast: Cast, visitor: Visitor, at: Any
) -> None:
    at(datetime.fromisoformat("2026-10-24T08:00:00Z"))
    ask(starts_at=datetime.fromisoformat("2026-10-26T10:00:00Z"))
    assert "Mon 26 Oct 2026, 06:00–06:50 (New York, EDT)" in visitor.get(manage(app, mail)).text


Step = Callable[[Booking], None] | None

COSTS: tuple[tuple[Step, float, dict[str, Any], str, str, Status, dict[str, int]], ...] = (
    (None, 71, {}, "£60.00", "Withdraw", Status.WITHDRAWN, {}),
    (accept, 25, {}, "£60.00", "Cancel", Status.CANCELLED_BY_CLIENT, {}),
    (accept, 24.0003, {}, "£60.00", "Cancel", Status.CANCELLED_BY_CLIENT, {}),
    (
        accept, 24, {}, "Cancel and pay £60.00", "Cancel", Status.CANCELLED_BY_CLIENT,
        {"client": -6000, "therapist": 5400, "commission": 600},
    ),
    (
        accept, 0.01, {}, "Cancel and pay £60.00", "Cancel", Status.CANCELLED_BY_CLIENT,
        {"client": -6000, "therapist": 5400, "commission": 600},
    ),
    (
        accept, 2, {"kind": Kind.FREE_CONSULTATION}, "used up", "Cancel",
        Status.CANCELLED_BY_CLIENT, {},
    ),
)  # fmt: skip


@pytest.mark.parametrize(("before", "hours", "asked", "said", "verb", "status", "money"), COSTS)
def test_what_it_costs_is_said_before_the_click_and_is_what_the_click_does(
    before: Step,
    hours: float,
    asked: dict[str, Any],
    said: str,
    verb: str,
    status: Status,
    money: dict[str, int],
    app: Flask,
    mail: MailServer,
    cast: Cast,
    visitor: Visitor,
    at: Any,
) -> None:
    booking = ask(starts_at=THURSDAY_10, **asked)
    path = manage(app, mail)
    if before:
        before(booking)
    at(hours_before(booking, hours))
    rows = all_rows()
    assert verb in visitor.get(path).text
    shown = visitor.get(path + "/cancel")
    assert said in shown.text
    assert [form.buttons for form in forms(shown)] == [1]
    assert all_rows() == rows

    done = press(visitor, path + "/cancel")
    assert done.status_code == 200
    assert now_of(booking).status is status
    assert balance(booking) == money
    rows = all_rows()
    assert visitor.post(path + "/cancel", data=forms(shown)[0].fields).status_code == 200
    assert visitor.get(path + "/cancel").status_code == 200
    assert all_rows() == rows


def test_a_click_after_the_cost_has_changed_charges_nothing_and_says_the_new_cost(
    app: Flask, mail: MailServer, cast: Cast, visitor: Visitor, at: Any
) -> None:
    booking = ask(starts_at=THURSDAY_10)
    path = manage(app, mail) + "/cancel"
    accept(booking)
    at(hours_before(booking, 24.1))
    [shown] = forms(visitor.get(path))
    at(hours_before(booking, 24))
    rows = all_rows()
    again = visitor.post(path, data=shown.fields)
    assert again.status_code == 409
    assert "Cancel and pay £60.00" in again.text
    assert all_rows() == rows
    assert visitor.post(path, data=forms(again)[0].fields).status_code == 200
    assert balance(booking)["client"] == -6000


def test_a_withdrawal_that_an_acceptance_overtook_cancels_nothing_unasked(
    app: Flask, mail: MailServer, cast: Cast, visitor: Visitor
) -> None:
    booking = ask()
    path = manage(app, mail) + "/cancel"
    [shown] = forms(visitor.get(path))
    accept(booking)
    answer = visitor.post(path, data=shown.fields)
    assert answer.status_code == 409
    assert "Asha accepted" in answer.text
    assert now_of(booking).status is Status.ACCEPTED


@pytest.mark.parametrize(
    ("before", "later", "status"),
    [(decline, 0 * HOUR, 409), (None, 24 * HOUR, 410), (accept, 49 * HOUR, 409)],
)
def test_what_can_no_longer_be_cancelled_shows_where_it_stands(
    before: Step,
    later: timedelta,
    status: int,
    app: Flask,
    mail: MailServer,
    cast: Cast,
    visitor: Visitor,
    at: Any,
) -> None:
    booking = ask(starts_at=TUESDAY_10 + 24 * HOUR)
    path = manage(app, mail) + "/cancel"
    if before:
        before(booking)
    at(MONDAY + later)
    assert visitor.get(path).status_code == status
    refused = visitor.post(path, data={"agreed": "withdraw.0.0"})
    assert refused.status_code == status
    assert "nothing was changed" in refused.text


def test_manage_booking_opens_until_ninety_days_after_the_session(
    app: Flask, mail: MailServer, cast: Cast, visitor: Visitor, at: Any
) -> None:
    booking = ask()
    path = manage(app, mail)
    last = booking.ends_at + timedelta(days=90)
    at(last - timedelta(seconds=1))
    assert visitor.get(path).status_code == 200
    at(last)
    for page in (path, path + "/cancel", path.replace("/manage/", "/choose/")):
        assert visitor.get(page).status_code in (400, 410)
    assert visitor.get(path).status_code == 410


def test_manage_booking_takes_few_queries_however_much_has_happened(
    app: Flask, mail: MailServer, cast: Cast, visitor: Visitor
) -> None:
    booking = ask()
    path = manage(app, mail)
    decline(booking)
    with counted_queries() as seen:
        assert visitor.get(path).status_code == 200
    # What is recorded of the visit is written after the answer.
    assert len([each for each in seen if "access_entry" not in each]) <= 5


def test_choosing_someone_else_asks_them_and_withdraws_the_open_enquiry(
    app: Flask, mail: MailServer, cast: Cast, visitor: Visitor
) -> None:
    at_three = MONDAY + timedelta(days=1, hours=6)
    old = ask(starts_at=at_three)
    path = manage(app, mail).replace("/manage/", "/choose/")
    assert visitor.get(path).status_code == 400
    path = forms_link(visitor, manage(app, mail), "Choose Someone Else")
    rows = all_rows()
    assert "Bran Cole" in visitor.get(path).text
    assert all_rows() == rows

    done = press(visitor, path, choice="bran@2026-11-03T15:00:00Z")
    assert done.status_code == 200
    assert "You asked Bran" in done.text
    new = Booking.select().order_by(Booking.id.desc()).get()
    assert (new.therapist_id, new.starts_at, new.client_id) == (
        cast.bran.id, at_three, old.client_id,
    )  # fmt: skip
    assert [each.body for each in Writing.select()] == ["I sleep badly."] * 2
    assert now_of(old).status is Status.WITHDRAWN
    assert balance(old) == {}
    assert balance(new) == {"client": -8000, "held": 8000}
    assert new.replaces == old
    assert OutboxEmail.select().where(OutboxEmail.kind == "booking_requested").count() == 2

    rows = all_rows()
    again = visitor.post(path, data={"choice": "bran@2026-11-03T15:00:00Z"})
    assert (again.status_code, "You asked Bran" in again.text) == (200, True)
    other = visitor.post(path, data={"choice": "chi@2026-11-03T22:00:00Z"})
    assert other.status_code == 409
    assert all_rows() == rows


def forms_link(visitor: Visitor, path: str, words: str) -> str:
    before, _, _ = visitor.get(path).text.rpartition(f">{words}</a>")
    return before.rpartition('href="')[2].partition('"')[0]


def test_an_offer_that_has_just_gone_leaves_the_old_enquiry_as_it_was(
    app: Flask, mail: MailServer, cast: Cast, visitor: Visitor
) -> None:
    at_three = MONDAY + timedelta(days=1, hours=6)
    old = ask(starts_at=at_three)
    path = forms_link(visitor, manage(app, mail), "Choose Someone Else")
    ask(therapist="bran", email="eli@clients.example", starts_at=at_three)
    rows = all_rows()
    gone = visitor.post(path, data={"choice": "bran@2026-11-03T15:00:00Z"})
    assert gone.status_code == 409
    assert "just been taken" in gone.text
    assert all_rows() == rows
    assert now_of(old).status is Status.REQUESTED


@pytest.mark.parametrize(
    "choice",
    ["", "bran", "bran@", "bran@tomorrow", "bran@2026-11-03T15:00:00", "nobody@2026-11-03T15:00Z",
     "asha@2026-11-03T15:00:00Z", "bran@2026-11-03T15:07:00Z", "bran@9999-12-31T23:59:59-14:00"],
)  # fmt: skip
def test_a_choice_that_cannot_be_is_named_and_changes_nothing(
    choice: str, app: Flask, mail: MailServer, cast: Cast, visitor: Visitor
) -> None:
    ask()
    path = forms_link(visitor, manage(app, mail), "Choose Someone Else")
    rows = all_rows()
    refused = visitor.post(path, data={"choice": choice})
    assert refused.status_code == 422
    assert "lease choose" in refused.text
    assert all_rows() == rows


def test_an_accepted_booking_is_not_replaced(
    app: Flask, mail: MailServer, cast: Cast, visitor: Visitor
) -> None:
    booking = ask(starts_at=MONDAY + timedelta(days=1, hours=6))
    path = forms_link(visitor, manage(app, mail), "Choose Someone Else")
    accept(booking)
    rows = all_rows()
    assert visitor.get(path).status_code == 409
    assert visitor.post(path, data={"choice": "bran@2026-11-03T15:00:00Z"}).status_code == 409
    assert all_rows() == rows


def test_the_offer_that_an_email_names_is_already_chosen(
    app: Flask, mail: MailServer, cast: Cast, visitor: Visitor
) -> None:
    old = ask(starts_at=MONDAY + timedelta(days=1, hours=6))
    path = forms_link(visitor, manage(app, mail), "Choose Someone Else")
    decline(old)
    named = visitor.get(path + "?therapist=chi&at=2026-11-03T22:00:00Z")
    assert forms(named)[0].fields["choice"] == "chi@2026-11-03T22:00:00Z"
    assert visitor.get(path + "?therapist=chi&at=never").status_code == 200
    done = press(visitor, path + "?therapist=chi&at=2026-11-03T22:00:00Z")
    assert "You asked Chi" in done.text
    assert now_of(old).status is Status.DECLINED


def test_for_a_choice_that_has_gone_no_other_is_chosen(
    app: Flask, mail: MailServer, cast: Cast, visitor: Visitor
) -> None:
    ask(starts_at=MONDAY + timedelta(days=1, hours=6))
    path = forms_link(visitor, manage(app, mail), "Choose Someone Else")
    first = visitor.get(path)
    assert "choice" in forms(first)[0].fields
    choices = re.findall(r'<input [^>]*name="choice"[^>]*>', first.text)
    assert all('autocomplete="off"' in each for each in choices)
    ask(
        therapist="bran",
        email="eli@clients.example",
        starts_at=MONDAY + timedelta(days=1, hours=6),
    )
    for gone in (
        visitor.get(f"{path}?therapist=bran&at=2026-11-03T15:00:00Z"),
        visitor.post(path, data={"choice": "bran@2026-11-03T15:00:00Z"}),
    ):
        assert "choice" not in forms(gone)[0].fields
        assert gone.text.count('id="said"') == 1


def test_links_are_sent_again_and_the_answer_is_the_same_for_every_address(
    app: Flask, mail: MailServer, cast: Cast, visitor: Visitor
) -> None:
    ask()
    known = visitor.post("/my-links", data={"email": "DEE@clients.example"})
    unknown = visitor.post("/my-links", data={"email": "eve@clients.example"})
    assert known.status_code == unknown.status_code == 200
    assert known.text.replace("DEE@", "") == unknown.text.replace("eve@", "")
    assert "Waiting for" in visitor.get(link(app, mail, "your_links", "Manage Booking")).text


def test_two_clients_who_swap_therapists_at_once_do_not_wait_for_one_another(cast: Cast) -> None:
    at_three = MONDAY + timedelta(days=1, hours=6)
    olds = [
        (ask(starts_at=at_three), "bran", at_three),
        (
            ask(therapist="bran", email="eli@clients.example", starts_at=at_three + HOUR),
            "asha",
            at_three + HOUR,
        ),
    ]
    together = Barrier(len(olds))

    def swap(old: Booking, slug: str, starts_at: datetime) -> None:
        with database.connection():
            together.wait(PATIENCE_S)
            replace.choose_another(old, slug, starts_at, via=Via.LINK, now=clock.now())

    with ThreadPoolExecutor(len(olds)) as pool:
        for swapped in [pool.submit(swap, *each) for each in olds]:
            swapped.result(PATIENCE_S)
    assert {now_of(old).status for old, _, _ in olds} == {Status.WITHDRAWN}
