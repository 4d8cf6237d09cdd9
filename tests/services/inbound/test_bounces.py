"""Bounces and complaints: hints about one email, which their recipient could forge."""

import pytest

from app.mail_addresses import AddressKind
from app.services import access_trail
from app.services.access_trail import Access
from app.services.clients.erase import erase_client
from app.services.clients.links import change_address
from app.services.inbound import addresses
from app.services.mail.reach import reach_of
from app.services.therapists import accounts
from app.services.therapists.erase import erase_therapist
from app.store import suppressions
from app.store.models import (
    AccessEvent,
    Booking,
    Complaint,
    MailPause,
    OutboxEmail,
    OutboxStatus,
    Party,
    Role,
)
from tests.scenarios.bounces import SHAPES, Refusal, complaint, report
from tests.scenarios.mailbox import written
from tests.scenarios.story import DEE, Story
from tests.services.inbound.conftest import ASHA, Post

pytestmark = pytest.mark.both_databases


@pytest.fixture
def asked(story: Story) -> Booking:
    booking = story.ask()
    story.deliver()
    story.wait(minutes=2)
    return booking


def email_of(kind: str) -> OutboxEmail:
    found: OutboxEmail = (
        OutboxEmail.select().where(OutboxEmail.kind == kind).order_by(OutboxEmail.id.desc()).get()
    )
    return found


def bounce_address(kind: str) -> str:
    return addresses.of_email(AddressKind.BOUNCE, email_of(kind))


def bounce(post: Post, kind: str, **fields: str) -> str:
    to = bounce_address(kind)
    shape = Refusal(to=to, message_id=f"<{post.story.now.timestamp()}@mx>", **fields)
    return post.hear(report(shape), to, is_from_server=True)


@pytest.mark.parametrize("name", SHAPES)
def test_every_shape_has_its_outcome(post: Post, story: Story, asked: Booking, name: str) -> None:
    shape, to = SHAPES[name], bounce_address("booking_requested")
    raw = shape.write(Refusal(to=to, **shape.fields))
    # Sendmail's come from an address.
    is_from_server = b"Return-Path: <>" in raw
    assert post.hear(raw, to, is_from_server=is_from_server) == shape.outcome
    row, email = suppressions.of_address(ASHA), email_of("booking_requested")
    has_failed = email.status is OutboxStatus.FAILED
    assert has_failed is (shape.outcome not in ("delayed", "no_report"))
    found = None
    if row is not None:
        found = "dead" if row.until else "doubted" if row.doubts else "missed"
    assert found == shape.address
    # A hint pauses nothing.
    assert MailPause.select().count() == 0
    alerts = [kind for kind, _ in story.deliver() if kind == "mail_alert"]
    assert alerts == (["mail_alert"] if shape.outcome == "bounced_by_policy" else [])
    assert "@" not in (email.last_error or "")


def test_a_request_that_bounced_makes_nobody_late_and_the_client_is_told(
    post: Post, story: Story, asked: Booking
) -> None:
    assert bounce(post, "booking_requested") == "bounced"
    booking = story.reload(asked)
    assert booking.handed_over_at is None
    assert reach_of(booking, story.now).therapist is not None
    assert ("therapist_unreachable", DEE[1]) in story.deliver()


def test_who_opened_the_email_cannot_forge_lateness_away(
    post: Post, story: Story, asked: Booking
) -> None:
    opened = Access(AccessEvent.LINK_OPENED, asked, about="accept", by=Party.THERAPIST)
    access_trail.record_required(opened, story.now)
    assert bounce(post, "booking_requested") == "bounced"
    assert story.reload(asked).handed_over_at is not None


def test_the_same_report_again_and_reports_of_old_emails_do_nothing(
    post: Post, story: Story, asked: Booking
) -> None:
    story.wait(minutes=1)
    assert bounce(post, "booking_requested") == "bounced"
    story.wait(minutes=1)
    assert bounce(post, "booking_requested") == "repeated"
    story.wait(days=31)
    assert bounce(post, "booking_received", recipient=DEE[1]) == "late_bounce"


def test_words_alone_are_believed_the_second_time(post: Post, story: Story) -> None:
    for hour in (10, 12):
        story.ask(starts_at=story.now.replace(day=4, hour=hour, minute=0, second=0))
        story.deliver()
        story.wait(minutes=2)
        doubted = {"status": "5.0.0", "diagnostic": ""}
        assert bounce(post, "booking_requested", **doubted) == "bounced"
        row = suppressions.of_address(ASHA)
        assert row is not None
        assert (row.until is not None) is (hour == 12)


def test_an_automatic_reply_to_the_envelope_sender_does_nothing(
    post: Post, story: Story, asked: Booking
) -> None:
    to = bounce_address("booking_requested")
    raw = written(to, "I am away", headers="Auto-Submitted: auto-replied\n")
    assert post.hear(raw, to) == "no_report"
    assert suppressions.of_address(ASHA) is None


def test_an_address_with_a_forged_tag_is_none_of_ours(story: Story, asked: Booking) -> None:
    good = bounce_address("booking_requested")
    tag = good.partition("-")[2].partition("@")[0]
    other = bounce_address("booking_received").partition("-")[2].partition("@")[0]
    assert addresses.owner_of(good) is not None
    assert addresses.owner_of(good.replace(tag, other)) is None


def test_a_bounce_of_an_address_that_was_changed_since_is_refused(
    story: Story, asked: Booking
) -> None:
    old = bounce_address("booking_requested")
    accounts.change_address("asha", "asha@new.example", story.now)
    assert addresses.owner_of(old) is None


def test_a_complaint_stops_reminders_and_tells_ops_and_nothing_else_stops(
    post: Post, story: Story, asked: Booking
) -> None:
    to = "complaints@in.example"
    raw = complaint(Refusal(to=bounce_address("booking_requested")))
    assert post.hear(raw, to) == "complaint"
    assert [kind for kind, _ in story.deliver()] == ["mail_alert"]
    story.wait(hours=2)
    story.sweep()
    assert story.deliver() == []
    assert email_of("answer_reminder").status is OutboxStatus.SKIPPED
    story.accept(asked)
    assert ("session_confirmed", ASHA) in story.deliver()


@pytest.mark.parametrize("who", ["client", "therapist"])
def test_a_complaint_follows_a_changed_address_and_ends_with_the_person(
    post: Post, story: Story, asked: Booking, who: str
) -> None:
    kind = {"client": "booking_received", "therapist": "booking_requested"}[who]
    post.hear(complaint(Refusal(to=bounce_address(kind))), "complaints@in.example")
    new = "moved@elsewhere.example"
    if who == "client":
        change_address(DEE[1], new, story.now)
    else:
        accounts.change_address("asha", new, story.now)
    assert [each.address_key for each in Complaint.select()] == [new]
    if who == "client":
        erase_client(new, story.now, ends_live_bookings=True)
    else:
        erase_therapist("asha", story.now, ends_live_bookings=True)
    assert Complaint.select().count() == 0


def test_a_complaint_without_an_email_of_ours_does_nothing(post: Post, story: Story) -> None:
    forged = complaint(Refusal(to="bounce+1-aaaaaaaaaaaaaaaaaaaa@in.example"))
    assert post.hear(forged, "complaints@in.example") == "unknown_email"
    assert post.hear(written("x@y.example", "spam"), "complaints@in.example") == "no_complaint"
    assert story.deliver() == []


def test_the_role_of_ops_may_bounce_too(post: Post, story: Story, asked: Booking) -> None:
    story.wait(hours=4)
    story.sweep()
    story.deliver()
    assert email_of("answer_late_ops").role is Role.OPS
    assert bounce(post, "answer_late_ops") == "bounced"
