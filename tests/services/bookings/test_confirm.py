"""Requests before and at the confirmation of their address: races, limits, what is kept."""

from collections import Counter
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from app import clock, config, links
from app.errors import (
    FreeConsultationUsed,
    InvalidFields,
    LinkExpired,
    LinkGone,
    SlotTaken,
    TooManyOpen,
)
from app.links import LinkPurpose, LinkToken
from app.rules.lifecycle import Kind, Status, Via
from app.services import limits
from app.services.bookings import confirm, request
from app.services.bookings.request import BookingRequest
from app.services.clients.erase import erase_client
from app.services.clients.export import export_client
from app.services.clients.links import record_visit
from app.services.jobs import due
from app.services.mail.answer_email_requests import answer_due
from app.services.mail.sender import OutboxSender
from app.services.therapists import ranking
from app.store.db import database
from app.store.models import (
    Booking,
    Client,
    EmailLimit,
    HeldTime,
    OutboxEmail,
    PendingRequest,
    Suppression,
    Therapist,
)
from tests.harness.page_stories import all_rows, link
from tests.scenarios.cast import MONDAY, TUESDAY_10
from tests.scenarios.story import Story, at_once, total


def wanted(
    email: str = "dee@clients.example",
    starts_at: datetime = TUESDAY_10,
    kind: Kind = Kind.PAID,
    therapist: str = "asha",
) -> BookingRequest:
    return BookingRequest(therapist, "Dee Stone", email, "UTC", starts_at, kind, "I sleep badly.")


def take(*given: Any, **more: Any) -> PendingRequest:
    key = confirm.take_request(wanted(*given, **more), now=clock.now())
    pending: PendingRequest = PendingRequest.get(PendingRequest.key == key)
    return pending


def link_of(pending: PendingRequest) -> LinkToken:
    return links.read(LinkPurpose.CONFIRM, confirm.url(pending).rpartition("/")[2])


PRESSES = 100


@pytest.mark.both_databases
def test_a_hundred_presses_of_one_link_at_once_make_one_booking(story: Story) -> None:
    link, now = link_of(take()), story.now

    def press_often() -> set[str]:
        return {confirm.confirm(link, now).reference for _ in range(5)}

    # PostgreSQL of the tests has room for fewer connections than presses.
    came_to = at_once([press_often] * (PRESSES // 5))
    assert came_to == [{Booking.get().reference}] * (PRESSES // 5)
    assert Counter(row.kind for row in OutboxEmail.select()) == {
        "booking_requested": 1,
        "booking_received": 1,
    }
    assert story.balances(Booking.get()) == {"client": -6000, "held": 6000}


@pytest.mark.both_databases
def test_a_link_that_expires_while_it_is_pressed_books_once_or_says_so(story: Story) -> None:
    pending = take(starts_at=TUESDAY_10 + timedelta(days=5))
    link, last = link_of(pending), pending.expires_at - timedelta(microseconds=1)
    presses = [lambda at=at: confirm.confirm(link, at) for at in (last, pending.expires_at)] * 5
    purges = [lambda: total(due.purge_pending(pending.expires_at)).failed] * 2
    story.at(last)
    came_to = at_once([*presses, *purges])
    assert came_to.count(0) == len(purges)
    booked = [each for each in came_to if isinstance(each, Booking)]
    ended = [each for each in came_to if isinstance(each, LinkExpired | LinkGone)]
    assert len(booked) + len(ended) == len(presses)
    assert Booking.select().count() == len({each.id for each in booked}) <= 1


@pytest.mark.both_databases
def test_a_time_that_somebody_takes_while_it_is_confirmed_goes_to_one_of_them(
    story: Story,
) -> None:
    link = link_of(take())
    now = story.wait(minutes=30)
    rival = wanted("eli@clients.example")
    came_to = at_once(
        [lambda: confirm.confirm(link, now)] * 4
        + [lambda: request.request_booking(rival, via=Via.API, now=now)]
    )
    booking = Booking.get()
    is_rival = booking.client.email == rival.email
    refused = [each for each in came_to if isinstance(each, SlotTaken)]
    assert len(refused) == (4 if is_rival else 1)
    assert len(refused) + sum(isinstance(each, Booking) for each in came_to) == 5
    assert {row.booking_id for row in HeldTime.select()} == {booking.id}


def test_a_held_time_is_taken_for_everybody_else_until_its_thirty_minutes_are_over(
    story: Story,
) -> None:
    pending = take()
    assert pending.held_until == MONDAY + timedelta(minutes=30)
    rival = wanted("eli@clients.example")
    story.at(pending.held_until - timedelta(microseconds=1))
    with pytest.raises(SlotTaken):
        request.request_booking(rival, via=Via.API, now=story.now)
    with pytest.raises(SlotTaken):
        take("eli@clients.example")
    # No job has run.
    story.at(pending.held_until)
    assert request.request_booking(rival, via=Via.API, now=story.now).starts_at == TUESDAY_10


@pytest.mark.both_databases
def test_a_refused_confirmation_gives_its_time_back_and_keeps_what_was_typed(
    story: Story,
) -> None:
    story.ask(client=("Dee", "dee@clients.example", "UTC"), kind=Kind.FREE_CONSULTATION)
    pending = take(kind=Kind.FREE_CONSULTATION)
    with pytest.raises(FreeConsultationUsed):
        confirm.confirm(link_of(pending), story.now)
    assert not HeldTime.select().where(HeldTime.pending.is_null(False)).exists()
    booking = confirm.confirm(link_of(pending), story.now, kind=Kind.PAID)
    assert (booking.kind, booking.starts_at) == (Kind.PAID, TUESDAY_10)


def half_hours(first: datetime) -> list[datetime]:
    return [first + timedelta(minutes=30 * number) for number in range(700)]


@pytest.mark.both_databases
def test_strangers_hold_ten_times_of_a_therapist_for_half_an_hour_at_most(story: Story) -> None:
    before = Therapist.get(Therapist.slug == "asha").score
    starts, posts = iter(half_hours(MONDAY + timedelta(hours=5))), 0
    while posts < SLOT_POSTS:
        starts_at = next(starts)
        try:
            take(f"stranger{posts}@mail{posts % 10}.example", starts_at)
        except (SlotTaken, InvalidFields):
            continue
        posts += 1
    held = PendingRequest.select().where(PendingRequest.held_until > story.now)
    assert held.count() == limits.PENDING_PER_THERAPIST
    # A visitor beside it still asks, confirms and is heard.
    theirs = take("visitor@clients.example", TUESDAY_10 + timedelta(days=10))
    assert theirs.held_until is None
    assert confirm.confirm(link_of(theirs), story.now).status is Status.REQUESTED
    therapist_hears = OutboxEmail.select().where(OutboxEmail.role == "therapist")
    assert [email.booking.client.email for email in therapist_hears] == ["visitor@clients.example"]
    story.wait(minutes=30)
    story.sweep()
    assert not HeldTime.select().where(HeldTime.pending.is_null(False)).exists()
    story.wait(hours=24)
    story.sweep()
    assert not PendingRequest.select().exists()
    assert Client.select().count() == 1
    after = Therapist.get(Therapist.slug == "asha").score
    assert after == before


SLOT_POSTS = 40


def test_one_address_holds_two_times_and_a_third_request_is_taken_all_the_same(
    story: Story,
) -> None:
    starts = [TUESDAY_10 + timedelta(hours=number) for number in range(3)]
    pending = [take(starts_at=at) for at in starts]
    assert [each.held_until is not None for each in pending] == [True, True, False]
    # The third one books as well, if nobody was quicker.
    assert confirm.confirm(link_of(pending[2]), story.now).starts_at == starts[2]


def test_a_victim_gets_one_email_a_minute_and_six_an_hour(story: Story) -> None:
    sender = OutboxSender(story.app.extensions["mailer"], clock.now)
    told: list[datetime] = []
    starts = iter(half_hours(MONDAY + timedelta(days=1, hours=1)))
    for minute in range(60):
        story.at(MONDAY + timedelta(minutes=minute))
        for _ in range(2):
            try:
                take("victim@clients.example", next(starts))
            except (SlotTaken, InvalidFields):
                continue
        before = len(story.mail.messages)
        total(sender.deliver())
        told += [story.now] * (len(story.mail.messages) - before)
    assert len(told) == limits.EMAILS_PER_HOUR
    assert all(later - earlier >= timedelta(minutes=1) for earlier, later in pairwise(told))
    assert EmailLimit.select().count() == 1


@pytest.mark.both_databases
def test_simultaneous_requests_for_one_address_count_together(story: Story) -> None:
    now = story.now
    asked = [
        wanted(therapist=slug, starts_at=TUESDAY_10 + timedelta(hours=hours))
        for slug, hours in (("asha", 0), ("asha", 2), ("bran", 6), ("bran", 8))
    ]
    at_once([lambda each=each: confirm.take_request(each, now=now) for each in asked])
    at_once([lambda: answer_due(now)] * 4)
    assert PendingRequest.select().where(PendingRequest.held_until > now).count() == 2
    due_now = OutboxEmail.select().where(OutboxEmail.due_at <= now)
    assert due_now.count() == 1


@pytest.mark.both_databases
def test_three_open_requests_of_a_client_are_enough_and_told_at_confirming(story: Story) -> None:
    starts = [TUESDAY_10 + timedelta(hours=number) for number in range(4)]
    pending = [take(starts_at=at) for at in starts]
    for each in pending[:3]:
        confirm.confirm(link_of(each), story.now)
    with pytest.raises(TooManyOpen, match="as many sessions"):
        confirm.confirm(link_of(pending[3]), story.now)
    story.withdraw(Booking.get(Booking.starts_at == starts[0]))
    assert confirm.confirm(link_of(pending[3]), story.now).starts_at == starts[3]


def test_a_therapist_has_so_many_open_requests_from_the_form_and_the_api_is_exempt(
    story: Story,
) -> None:
    config.use(config.current().model_copy(update={"open_per_therapist": 2}))
    starts = [TUESDAY_10 + timedelta(hours=number) for number in range(4)]
    for number in range(2):
        confirm.confirm(link_of(take(f"c{number}@clients.example", starts[number])), story.now)
    with pytest.raises(TooManyOpen, match="therapist"):
        confirm.confirm(link_of(take("c2@clients.example", starts[2])), story.now)
    assert story.ask(starts_at=starts[3])


@pytest.mark.both_databases
def test_what_was_typed_is_stored_encrypted(story: Story) -> None:
    take()
    [[stored]] = database.db.execute_sql("SELECT details FROM pending_request").fetchall()
    assert "Stone" not in stored
    assert "sleep" not in stored


@pytest.mark.both_databases
def test_erasing_and_exporting_cover_what_is_not_confirmed(story: Story) -> None:
    pending = take()
    exported = export_client("DEE@clients.example", clock.now())
    [held] = exported["unconfirmed"]
    assert (held["name"], held["note"]) == ("Dee Stone", "I sleep badly.")
    assert erase_client("dee@clients.example", story.now) == 0
    for table in (PendingRequest, HeldTime, EmailLimit):
        assert not table.select().exists()
    assert story.deliver() == []
    with pytest.raises(LinkGone):
        confirm.find(link_of(pending), story.now)


def test_erasing_a_client_covers_their_pending_requests(story: Story) -> None:
    booking = story.ask()
    story.withdraw(booking)
    take()
    assert export_client("dee@clients.example", clock.now())["unconfirmed"]
    assert erase_client("dee@clients.example", story.now) == 1
    assert not PendingRequest.select().exists()


@pytest.mark.both_databases
def test_sending_again_changes_nothing_once_it_is_confirmed(story: Story) -> None:
    pending = take()
    story.deliver()
    link = link_of(pending)
    booking = confirm.confirm(link, story.now)
    before = all_rows()
    for address in ("eli@clients.example", "dee@clients.example"):
        confirm.send_link(pending.key, address, story.now)
    assert confirm.confirm(link, story.now) == booking
    assert all_rows() == before


@pytest.mark.both_databases
def test_a_suppressed_address_is_tried_again(story: Story) -> None:
    until = story.now + timedelta(days=7)
    Suppression.create(address_key="dee@clients.example", reason="550", at=story.now, until=until)
    take()
    assert story.deliver() == [("confirm_request", "dee@clients.example")]


@pytest.mark.parametrize(
    ("via", "opens", "is_counted"),
    [
        (Via.PAGE, False, False),
        (Via.PAGE, True, True),
        (Via.LINK, False, True),
        (Via.API, False, True),
    ],
)
def test_an_expiry_counts_where_its_client_came_back_or_it_was_no_stranger_s(
    story: Story, via: Via, opens: bool, is_counted: bool
) -> None:
    booking = request.request_booking(
        wanted(starts_at=TUESDAY_10 + timedelta(days=3)), via=via, now=story.now
    )
    story.deliver()
    if opens:
        for _ in range(2):
            record_visit(booking, story.now)
    story.wait(hours=25)
    computed = ranking.compute(booking.therapist, story.now)
    story.sweep()
    stored = Therapist.get(Therapist.slug == "asha").score
    assert (computed.expired, stored < 100) == (int(is_counted), is_counted)


def test_an_expiry_counts_from_the_visit_of_a_client_who_comes_back_later(story: Story) -> None:
    booking = request.request_booking(
        wanted(starts_at=TUESDAY_10 + timedelta(days=3)), via=Via.PAGE, now=story.now
    )
    story.deliver()
    story.wait(hours=25)
    story.sweep()
    manage = link(story.app, story.mail, "booking_expired", "Manage Booking")
    assert Therapist.get(Therapist.slug == "asha").score == 100
    for method in ("get", "head", "options"):
        getattr(story.app.test_client(), method)(manage)
    story.sweep()
    assert Therapist.get(Therapist.slug == "asha").score == 100
    story.app.test_client().post(manage)
    story.sweep()
    assert Therapist.get(Therapist.slug == "asha").score < 100
    assert ranking.compute(booking.therapist, story.now).expired == 1


@pytest.mark.both_databases
def test_pending_requests_are_purged_at_every_run_and_the_rest_once_an_hour(story: Story) -> None:
    purge = due.Purge()
    pending = take()
    story.deliver()
    counted = EmailLimit.get()
    total(purge(story.now))
    EmailLimit.update(last_at=story.now - timedelta(hours=2)).execute()
    assert total(purge(pending.held_until)).done == 1
    assert EmailLimit.select().count() == 1
    assert counted.kind == "confirm_request"
    assert total(purge(story.now + timedelta(hours=1))).done == 1
    assert not EmailLimit.select().exists()
    assert total(purge(pending.expires_at)).done == 1
    assert not PendingRequest.select().exists()
