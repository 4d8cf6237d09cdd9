"""Export gives a client everything held on them; erase leaves only the ledger and timeline."""

import json
from datetime import timedelta

import pytest

from app import clock, links
from app.errors import FreeConsultationUsed, InvalidFields, NotFound
from app.links import LinkPurpose
from app.rules.lifecycle import Actor, Kind, Move, Via
from app.services import availability
from app.services.bookings import cancel, ledger, messages, transitions
from app.services.clients.erase import erase_client
from app.services.clients.export import export_client
from app.services.clients.links import send_links
from app.services.ops import replay
from app.store import queries
from app.store.db import database
from app.store.models import (
    Booking,
    Client,
    LedgerLine,
    OutboxEmail,
    OutboxStatus,
    Purpose,
    Writing,
)
from tests.harness.stored_bytes import whole_database
from tests.scenarios.story import DEE, ELI, Story

DAY = timedelta(days=1)
CANARY = ("Zinnia Quetzalcoatl", "zinnia.quetzal@clients.example", "Pacific/Marquesas")
NOTE = "note-canary-axolotl"
MESSAGE = "message-canary-narwhal"
REPLY = "reply-canary-wombat"
REASON = "reason-canary-okapi"
PRIVATE = "private-canary-ibex"
WORDS = (
    "Zinnia",
    "Quetzalcoatl",
    "zinnia.quetzal",
    "Marquesas",
    NOTE,
    MESSAGE,
    REPLY,
    REASON,
    PRIVATE,
)


def live_a_little(story: Story) -> list[Booking]:
    """A client with a completed session, a declined enquiry and a late cancellation."""
    at = story.now.replace(hour=16, minute=0, second=0, microsecond=0) + 2 * DAY
    kept = story.ask(starts_at=at, client=CANARY, note=NOTE)
    story.accept(kept)
    messages.send(kept, MESSAGE, author=Actor.CLIENT, now=story.now)
    messages.send(kept, REPLY, author=Actor.THERAPIST, now=story.now)
    messages.keep_private_note(kept, PRIVATE, now=story.now)
    declined = story.ask("bran", starts_at=at, client=CANARY)
    story.decline(declined, reason=REASON)
    cancelled = story.ask("bran", starts_at=at + DAY, client=CANARY, kind=Kind.FREE_CONSULTATION)
    story.accept(cancelled)
    send_links(CANARY[1], story.now)
    story.deliver()
    story.at(kept.completes_at)
    story.sweep()
    story.cancel(cancelled, Actor.CLIENT)
    return [kept, declined, cancelled]


def ciphertexts() -> list[str]:
    rows = database.db.execute_sql("SELECT body FROM writing").fetchall()
    return [row[0] for row in rows]


@pytest.mark.both_databases
def test_export_holds_everything_about_a_client(story: Story) -> None:
    kept, declined, cancelled = live_a_little(story)
    other = story.ask("chi", starts_at=open_time(story), client=ELI, note="of somebody else")
    exported = export_client(CANARY[1].upper(), clock.now())
    assert exported["email"] == CANARY[1]
    told = {each["reference"]: each for each in exported["bookings"]}
    assert {(each["name"], each["given_name"], each["timezone"]) for each in told.values()} == {
        (CANARY[0], "Zinnia", CANARY[2])
    }
    assert list(told) == [kept.reference, declined.reference, cancelled.reference]
    assert [told[each.reference]["status"] for each in (kept, declined, cancelled)] == [
        "completed",
        "declined",
        "cancelled_by_client",
    ]
    written = [(each["by"], each["what"], each["text"]) for each in told[kept.reference]["written"]]
    assert written == [
        ("client", "note", NOTE),
        ("client", "message", MESSAGE),
        ("therapist", "message", REPLY),
    ]
    assert [each["text"] for each in told[declined.reference]["written"]] == [REASON]
    events = [line["event"] for line in told[kept.reference]["timeline"]]
    assert events == ["requested", "accepted", "completed"]
    assert {"account": "therapist", "amount_minor": 5400} in told[kept.reference]["ledger"]
    kinds = {each["kind"] for each in told[kept.reference]["emails"]}
    assert {"booking_received", "booking_accepted", "new_message"} <= kinds
    assert [each["kind"] for each in exported["emails"]] == ["your_links"]
    text = json.dumps(exported)
    assert PRIVATE not in text
    assert other.reference not in text
    assert "of somebody else" not in text


def open_time(story: Story) -> object:
    chi = queries.therapist_by_slug("chi")
    return availability.open_times(
        chi, Kind.PAID, from_at=story.now, until_at=story.now + 5 * DAY, now=story.now
    )[3]


@pytest.mark.both_databases
def test_export_and_erase_of_an_unknown_address_raise_not_found(story: Story) -> None:
    with pytest.raises(NotFound):
        export_client("nobody@clients.example", clock.now())
    with pytest.raises(NotFound):
        erase_client("nobody@clients.example", story.now)


@pytest.mark.both_databases
def test_erase_leaves_no_trace_of_the_client_in_the_database_file(story: Story) -> None:
    for n in range(80):
        # Neighbours, so that rows and index entries are spread over several pages.
        Client.create(
            email=f"neighbour{n}@clients.example",
            email_key=f"neighbour{n}@clients.example",
            created_at=story.now,
        )
    live_a_little(story)
    before = whole_database()
    assert CANARY[0] in before
    assert CANARY[1] in before
    secrets = ciphertexts()
    assert len(secrets) == 5
    assert all(secret in before for secret in secrets)
    assert NOTE not in before, "notes are encrypted at rest"

    assert erase_client("  Zinnia.QUETZAL@clients.example", story.now) == 3

    after = whole_database()
    assert [word for word in WORDS if word in after] == []
    assert [secret for secret in secrets if secret in after] == []
    assert "neighbour7@" in after
    assert Writing.select().count() == 0
    with pytest.raises(NotFound):
        export_client(CANARY[1], clock.now())


@pytest.mark.both_databases
def test_erase_keeps_the_ledger_and_the_timeline(story: Story) -> None:
    booked = live_a_little(story)
    lines = [line.__data__ for line in LedgerLine.select().order_by(LedgerLine.id)]
    timelines = [story.timeline(booking) for booking in booked]
    erase_client(CANARY[1], story.now)
    assert [line.__data__ for line in LedgerLine.select().order_by(LedgerLine.id)] == lines
    assert [story.timeline(booking) for booking in booked] == timelines
    assert [each.payout_minor for each in ledger.earnings_of(booked[0].therapist)] == [5400]
    assert list(replay.find_differences(story.now)) == []


def test_erase_ends_every_link_that_was_sent(story: Story) -> None:
    booked = live_a_little(story)
    holder = f"c{booked[0].client_id}"
    tokens = [
        links.mint(
            LinkPurpose.MANAGE, holder=holder, subject=booking.reference, epoch=booking.epoch
        )
        for booking in booked
    ]
    assert all(is_open(token) for token in tokens)
    erase_client(CANARY[1], story.now)
    assert not any(is_open(token) for token in tokens)


def is_open(token: str) -> bool:
    ticket = links.read(LinkPurpose.MANAGE, token)
    return queries.booking_by_reference(ticket.subject).epoch == ticket.epoch


@pytest.mark.both_databases
def test_emails_that_still_waited_for_the_client_are_skipped(story: Story) -> None:
    live_a_little(story)
    waiting = OutboxEmail.select().where(
        OutboxEmail.role == "client", OutboxEmail.status == OutboxStatus.QUEUED
    )
    assert sorted(email.kind for email in waiting) == ["cancellation_receipt", "session_reminder"]
    erase_client(CANARY[1], story.now)
    assert [to for _, to in story.deliver()] == ["bran@therapists.example"]


@pytest.mark.both_databases
@pytest.mark.parametrize("is_accepted", [False, True], ids=["requested", "accepted"])
def test_erase_is_refused_while_a_booking_is_live_and_removes_nothing(
    story: Story, is_accepted: bool
) -> None:
    live_a_little(story)
    at = story.now.replace(hour=15) + 3 * DAY
    live = story.ask(starts_at=at, client=CANARY, note=NOTE)
    if is_accepted:
        story.accept(live)
        story.at(live.ends_at - timedelta(seconds=1))
    with pytest.raises(InvalidFields) as refused:
        erase_client(CANARY[1], story.now)
    assert live.reference in str(refused.value)
    assert export_client(CANARY[1], clock.now())["bookings"][0]["name"] == CANARY[0]
    assert Writing.select().where(Writing.purpose == Purpose.NOTE).count() == 2


def test_an_enquiry_past_its_expiry_does_not_prevent_erasing(story: Story) -> None:
    enquiry = story.ask(client=CANARY, starts_at=story.now.replace(hour=16) + 5 * DAY)
    story.deliver()
    story.at(enquiry.expires_at)
    assert erase_client(CANARY[1], story.now) == 1
    assert story.reload(enquiry).status == "expired"
    assert story.balances(enquiry) == {"client": 0, "held": 0}
    story.sweep()
    assert [to for _, to in story.deliver()] == ["asha@therapists.example"]


@pytest.mark.both_databases
def test_no_email_goes_to_the_placeholder_address_of_an_erased_client(
    story: Story,
) -> None:
    booking = story.ask(client=CANARY)
    story.accept(booking)
    story.deliver()
    story.at(booking.completes_at)
    erase_client(CANARY[1], story.now)
    cancel.mark_no_show(booking, via=Via.DASHBOARD, now=story.now)
    story.sweep()
    assert story.deliver() == []
    unsent = OutboxEmail.select().where(OutboxEmail.kind == "no_show_recorded")
    assert [email.status for email in unsent] == [OutboxStatus.SKIPPED]


def test_the_same_address_can_return_as_a_new_client(story: Story) -> None:
    live_a_little(story)
    erase_client(CANARY[1], story.now)
    booking = story.ask(client=CANARY, starts_at=story.now.replace(hour=15) + 3 * DAY)
    assert booking.client_name == CANARY[0]
    assert [each["reference"] for each in export_client(CANARY[1], clock.now())["bookings"]] == [
        booking.reference
    ]


def test_an_address_that_returns_gets_its_links_under_a_new_message_id(story: Story) -> None:
    live_a_little(story)
    story.deliver()
    erase_client(CANARY[1], story.now)
    story.ask(client=CANARY, starts_at=story.now.replace(hour=15) + 3 * DAY)
    send_links(CANARY[1], story.now)
    story.deliver()
    sent = [each.parsed for each in story.mail.messages]
    numbers = [each["Message-ID"] for each in sent if each["X-Mindsum-Email"] == "your_links"]
    assert len(numbers) == len(set(numbers)) == 2


def test_erasing_one_client_leaves_another_alone(story: Story) -> None:
    live_a_little(story)
    free = story.ask(
        client=DEE, kind=Kind.FREE_CONSULTATION, starts_at=story.now.replace(hour=15) + 3 * DAY
    )
    messages.send(free, "hello", author=Actor.CLIENT, now=story.now)
    before = export_client(DEE[1], clock.now())
    erase_client(CANARY[1], story.now)
    after = export_client(DEE[1], clock.now())
    # That it was exported once more is on record too.
    assert [each["times"] for each in (before.pop("access")[-1], after.pop("access")[-1])] == [1, 2]
    assert after == before
    with pytest.raises(FreeConsultationUsed):
        story.ask(client=DEE, kind=Kind.FREE_CONSULTATION, starts_at=free.starts_at + DAY)
    transitions.make_move(free, Move.WITHDRAW, by=Actor.CLIENT, via=Via.LINK, now=story.now)
