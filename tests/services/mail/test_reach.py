"""Who could not be told: a fact of the booking that every page, email and command respects."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from flask import Flask

from app.cli import run
from app.rules.lifecycle import Actor
from app.services import auth
from app.services.clients.links import send_links
from app.services.mail.reach import reach_of
from app.services.mail.sender import OutboxSender
from app.services.ops import replay
from app.services.therapists import accounts
from app.store import outbox, queries
from app.store.models import OutboxEmail, Role, Suppression
from tests.harness.smtp_server import Action, FaultyServer, MailServer
from tests.scenarios.story import DEE, ELI, Story, sender_to, total
from tests.services.mail.conftest import Logged

ASHA = "asha@therapists.example"
OPS = "ops@mindsum.invalid"
PROOF, WORDS = "550 5.1.1 no such mailbox", "550 no such user here"


@contextmanager
def refusing(
    app: Flask, *addresses: str, reply: str = PROOF
) -> Iterator[tuple[OutboxSender, FaultyServer]]:
    script: dict[str, Action] = {f"rcpt {address}": reply for address in addresses}
    with FaultyServer(script) as server:
        yield sender_to(app, server.port), server


def told(server: FaultyServer | MailServer, address: str) -> dict[str, str]:
    """The text of each kind of email that reached an address."""
    return {
        each.kind: each.parsed.get_body(("plain",)).get_content()
        for each in server.messages
        if each.rcpt_tos == (address,)
    }


def times_told(kind: str, role: Role) -> int:
    return OutboxEmail.select().where(OutboxEmail.kind == kind, OutboxEmail.role == role).count()


def is_suppressed(address: str) -> bool:
    row = Suppression.get_or_none(Suppression.address_key == address)
    return row is not None and row.until is not None


@pytest.mark.parametrize("reply", [PROOF, WORDS, "550 no"])
def test_a_client_who_is_refused_is_never_said_to_know(
    story: Story, app: Flask, logged: Logged, reply: str
) -> None:
    booking = story.ask()
    story.deliver()
    story.accept(booking)
    with refusing(app, DEE[1], reply=reply) as (sender, server):
        total(sender.deliver())
        total(sender.deliver())
        therapist, ops = told(server, ASHA), told(server, OPS)
    assert "has been told" not in str(therapist)
    assert "do not reach Dee" in therapist["client_unreachable"]
    assert booking.reference in ops["client_unreachable"]
    unreached = reach_of(story.reload(booking), story.now).client
    assert unreached is not None
    assert OutboxEmail.get_by_id(unreached.email).kind == "booking_accepted"
    assert ("client_unreachable", "system", "scheduler") in story.timeline(booking)
    (line,) = logged("client_unreachable")
    assert (line["level"], line["booking"]) == ("warning", booking.reference)
    assert "@" not in str(line)
    assert list(replay.find_differences(story.now)) == []
    # Every later email of the booking says so too, and each side hears it once.
    story.at(booking.starts_at - timedelta(hours=1))
    story.sweep()
    with refusing(app, DEE[1], reply=reply) as (sender, server):
        total(sender.deliver())
        assert "do not reach Dee" in told(server, ASHA)["session_reminder"]
    assert times_told("client_unreachable", Role.OPS) == 1
    assert times_told("client_unreachable", Role.THERAPIST) == 1


def test_a_late_answer_says_to_its_therapist_and_to_ops_that_the_client_was_not_told(
    story: Story, app: Flask
) -> None:
    story.ask()
    with refusing(app, DEE[1]) as (sender, server):
        total(sender.deliver())
        story.wait(hours=3, seconds=1)
        story.sweep()
        total(sender.deliver())
        assert "do not reach Dee" in told(server, ASHA)["answer_late"]
        assert "do not reach the client" in told(server, OPS)["answer_late_ops"]
        story.wait(hours=21)
        story.sweep()
        total(sender.deliver())
        assert "do not reach Dee" in told(server, ASHA)["enquiry_expired"]


@pytest.mark.parametrize(
    ("end", "kind"),
    [
        (lambda story, booking: story.cancel(booking, Actor.THERAPIST), "cancellation_recorded"),
        (lambda story, booking: story.cancel(booking, Actor.CLIENT), "client_cancelled"),
    ],
    ids=["therapist", "client"],
)
def test_ops_hears_of_a_client_who_does_not_know_that_the_session_will_not_take_place(
    story: Story, app: Flask, end: Any, kind: str
) -> None:
    booking = story.ask()
    story.accept(booking)
    story.deliver()
    end(story, booking)
    with refusing(app, DEE[1]) as (sender, server):
        total(sender.deliver())
        is_told = "client_unreachable" in told(server, OPS)
        assert is_told == (kind == "cancellation_recorded")
        assert kind in told(server, ASHA)
    assert times_told("client_unreachable", Role.THERAPIST) == 0


def test_every_live_booking_of_an_unreachable_client_is_told_to_its_own_therapist(
    story: Story, app: Flask
) -> None:
    with_asha = story.ask()
    with_bran = story.ask("bran", starts_at=story.now.replace(hour=15) + timedelta(days=3))
    elis = story.ask(client=ELI, starts_at=story.now.replace(hour=14) + timedelta(days=3))
    story.deliver()
    story.accept(with_asha)
    with refusing(app, DEE[1]) as (sender, server):
        total(sender.deliver())
        assert "client_unreachable" in told(server, "bran@therapists.example")
    assert reach_of(story.reload(elis), story.now).unreached == []
    events = {booking.reference: story.timeline(booking) for booking in (with_asha, with_bran)}
    for timeline in events.values():
        assert ("client_unreachable", "system", "scheduler") in timeline


def test_ops_hears_once_of_an_unreachable_client_with_all_of_their_bookings(
    story: Story, app: Flask
) -> None:
    hours = (story.now.replace(hour=15) + timedelta(days=day) for day in (3, 4, 5))
    bookings = [story.ask("bran", starts_at=each) for each in hours]
    story.deliver()
    story.accept(bookings[0])
    with refusing(app, DEE[1]) as (sender, server):
        total(sender.deliver())
        [to_ops] = [each.parsed for each in server.messages if each.rcpt_tos == (OPS,)]
        text = told(server, OPS)["client_unreachable"]
    assert to_ops["X-Mindsum-Booking"] == bookings[0].reference
    for booking in bookings:
        assert f"{booking.reference} with bran" in text
    # A further refusal is no news.
    story.accept(bookings[1])
    later = story.ask(starts_at=story.now.replace(hour=10) + timedelta(days=6))
    with refusing(app, DEE[1]) as (sender, server):
        total(sender.deliver())
        text = told(server, OPS)["client_unreachable"]
    # A new booking is.
    assert f"{later.reference} with asha" in text
    assert bookings[1].reference not in text
    assert times_told("client_unreachable", Role.OPS) == 2


def test_ops_hears_of_an_unreachable_client_while_one_of_the_bookings_is_still_ahead(
    story: Story, app: Flask
) -> None:
    first, second = (
        story.ask(starts_at=story.now.replace(hour=10) + timedelta(days=day)) for day in (1, 20)
    )
    story.deliver()
    story.accept(first)
    with refusing(app, DEE[1], OPS) as (sender, _):
        total(sender.deliver())
    story.at(first.ends_at)
    OutboxEmail.update(status="queued", settled_at=None).where(
        OutboxEmail.kind == "client_unreachable", OutboxEmail.role == Role.OPS
    ).execute()
    with refusing(app, DEE[1]) as (sender, server):
        total(sender.deliver())
        assert second.reference in told(server, OPS)["client_unreachable"]


@pytest.mark.both_databases
@pytest.mark.parametrize("reply", [PROOF, WORDS])
def test_the_client_of_an_open_enquiry_hears_at_once_that_the_therapist_cannot_be_reached(
    story: Story, app: Flask, reply: str
) -> None:
    booking = story.ask()
    accepted = story.ask(client=ELI, starts_at=story.now.replace(hour=14) + timedelta(days=3))
    OutboxEmail.delete().where(OutboxEmail.booking == accepted).execute()
    story.accept(accepted)
    OutboxEmail.delete().where(OutboxEmail.booking == accepted).execute()
    with refusing(app, ASHA, reply=reply) as (sender, server):
        total(sender.deliver())
        total(sender.deliver())
        text = told(server, DEE[1])["therapist_unreachable"]
        assert told(server, ELI[1]) == {}
    assert "do not reach Asha" in text
    assert "Choose Someone Else:" in text
    assert times_told("therapist_unreachable", Role.CLIENT) == 1
    assert story.reload(booking).handed_over_at is None
    story.wait(hours=3, seconds=1)
    story.sweep()
    with refusing(app, ASHA, reply=reply) as (sender, server):
        total(sender.deliver())
        late = told(server, DEE[1])["answer_late_client"]
    assert "do not reach Asha" in late
    assert "reminded" not in late


def slugs(story: Story) -> set[str]:
    return {each.slug for each in queries.listed_therapists(story.now)}


def test_an_unreachable_therapist_is_unlisted_until_an_email_arrives(
    story: Story, app: Flask
) -> None:
    story.ask()
    assert "asha" in slugs(story)
    with refusing(app, ASHA) as (sender, _):
        total(sender.deliver())
    assert "asha" not in slugs(story)
    story.wait(days=8)
    assert "asha" not in slugs(story)
    auth.request_sign_in(ASHA, "/dashboard", story.now)
    assert "asha" not in slugs(story)
    assert ("sign_in", ASHA) in story.deliver()
    assert "asha" in slugs(story)


def test_ops_lists_a_therapist_again_by_saying_that_emails_arrive(
    story: Story, app: Flask, capsys: pytest.CaptureFixture[str]
) -> None:
    story.ask()
    with refusing(app, ASHA) as (sender, _):
        total(sender.deliver())
    assert run(["therapist", "show", "asha"], lambda: app) == 0
    assert "mindsum therapist reachable asha" in capsys.readouterr().out
    assert run(["therapist", "reachable", "asha"], lambda: app) == 0
    assert "asha" in slugs(story)
    assert run(["therapist", "reachable", "asha"], lambda: app) == 2


def test_a_new_address_lists_a_therapist_again(story: Story, app: Flask) -> None:
    story.ask()
    with refusing(app, ASHA) as (sender, _):
        total(sender.deliver())
    accounts.change_address("asha", "asha@elsewhere.example", story.now)
    assert "asha" in slugs(story)
    assert {each.domain for each in OutboxEmail.select() if each.status == "queued"} <= {
        "elsewhere.example"
    }


def test_words_alone_silence_an_address_when_they_come_twice(story: Story, app: Flask) -> None:
    for number in range(3):
        auth.request_sign_in("bran@therapists.example", "/dashboard", story.now)
        with refusing(app, "bran@therapists.example", reply=WORDS) as (sender, server):
            total(sender.deliver())
            # Each sign-in is tried: its owner asks.
            assert any("bran" in line for line in server.commands)
        assert is_suppressed("bran@therapists.example") == (number >= 1)


@pytest.mark.both_databases
def test_an_email_that_arrives_between_two_refusals_clears_the_doubt(
    story: Story, app: Flask
) -> None:
    for _ in range(2):
        auth.request_sign_in(ASHA, "/dashboard", story.now)
        with refusing(app, ASHA, reply=WORDS) as (sender, _):
            total(sender.deliver())
        assert not is_suppressed(ASHA)
        auth.request_sign_in(ASHA, "/dashboard", story.now)
        story.deliver()
    assert not Suppression.select().exists()


@pytest.mark.parametrize(("days", "is_tried"), [(6.99, False), (7, True)])
def test_a_dead_address_is_tried_again_after_seven_days(
    story: Story, app: Flask, days: float, is_tried: bool
) -> None:
    booking = story.ask(starts_at=story.now.replace(hour=10, minute=0) + timedelta(days=20))
    with refusing(app, DEE[1]) as (sender, _):
        total(sender.deliver())
    story.wait(days=days)
    outbox.enqueue("new_message", Role.CLIENT, booking=booking, now=story.now)
    assert (("new_message", DEE[1]) in story.deliver()) == is_tried


@pytest.mark.parametrize(
    "act",
    [
        lambda story: send_links(DEE[1], story.now),
        lambda story: story.ask("bran", starts_at=story.now.replace(hour=15) + timedelta(days=4)),
    ],
    ids=["links", "booking"],
)
def test_an_address_is_tried_again_when_its_owner_uses_it(
    story: Story, app: Flask, act: Any
) -> None:
    booking = story.ask()
    with refusing(app, DEE[1]) as (sender, _):
        total(sender.deliver())
    assert is_suppressed(DEE[1])
    act(story)
    assert DEE[1] in {address for _, address in story.deliver()}
    assert not Suppression.select().exists()
    # What did not arrive about the first booking has still not arrived.
    assert reach_of(story.reload(booking), story.now).client is not None


def test_an_email_that_a_domain_keeps_refusing_counts_as_not_told_after_a_day(
    story: Story, app: Flask
) -> None:
    booking = story.ask(starts_at=story.now.replace(hour=10, minute=0) + timedelta(days=4))
    story.accept(booking)
    with refusing(app, DEE[1], reply="550 5.7.1 not from you") as (sender, server):
        total(sender.deliver())
        assert reach_of(story.reload(booking), story.now).client is None
        story.wait(hours=24)
        total(sender.deliver())
        total(sender.deliver())
        assert "do not reach Dee" in told(server, ASHA)["client_unreachable"]
    row = OutboxEmail.get(OutboxEmail.kind == "booking_accepted")
    assert (row.status, row.first_tried_at) == ("queued", None)
    story.wait(minutes=16)
    assert ("booking_accepted", DEE[1]) in story.deliver()
    assert reach_of(story.reload(booking), story.now).client is None


def test_the_command_line_and_the_api_name_who_could_not_be_told(
    story: Story, app: Flask, capsys: pytest.CaptureFixture[str]
) -> None:
    booking = story.ask()
    with refusing(app, DEE[1]) as (sender, _):
        total(sender.deliver())
    assert run(["booking", "show", booking.reference], lambda: app) == 0
    shown = next(line for line in capsys.readouterr().out.splitlines() if "unreached" in line)
    assert "client" in shown
    assert "5.1.1" in shown
    key = {"Authorization": "Bearer test-api-key"}
    answer = app.test_client().get(f"/api/v1/bookings/{booking.reference}", headers=key).json
    assert [each["who"] for each in answer["unreached"]] == ["client"]
