"""What an email is composed from: the values that its kind names, as they are when it leaves."""

import re
from datetime import UTC, datetime, timedelta

from app import config
from app.services.clients.erase import erase_client
from app.services.mail.compose import VALUES, compose
from app.services.therapists import profile
from app.store import outbox
from app.store.models import Booking, OutboxEmail, Role, TimelineEntry
from emails.kinds import KINDS
from tests.scenarios.story import DEE, ELI, Story


def test_every_value_that_a_kind_names_has_a_source() -> None:
    assert set(VALUES) == {name for row in KINDS.values() for name in row.values}


def text_of(kind: str, booking: Booking, now: datetime) -> str:
    email = OutboxEmail.get(OutboxEmail.kind == kind, OutboxEmail.booking == booking)
    return compose(email, now).text


def subjects(booking: Booking, now: datetime) -> set[tuple[Role, str]]:
    emails = OutboxEmail.select().where(OutboxEmail.booking == booking)
    return {(each.role, compose(each, now).subject) for each in emails}


def test_a_thread_keeps_its_subject_when_its_therapist_changes_name_and_zone(story: Story) -> None:
    booking = story.ask()
    outbox.enqueue("answer_late_ops", Role.OPS, booking=booking, now=story.now)
    before = subjects(booking, story.now)
    assert len(before) == 3
    changes = {"name": "Ash Rao", "given_name": "Ash", "timezone": "Asia/Tokyo"}
    profile.update("asha", changes, story.now)
    story.accept(booking)
    assert subjects(story.reload(booking), story.now) == before
    assert "Asia/Tokyo" not in str(before)
    assert "Ash " in text_of("booking_accepted", story.reload(booking), story.now)


def test_a_request_after_the_change_has_the_new_name_and_zone_in_its_subject(
    story: Story,
) -> None:
    before = subjects(story.ask(), story.now)
    profile.update("asha", {"given_name": "Ash", "timezone": "Asia/Tokyo"}, story.now)
    later = story.ask(client=ELI, starts_at=story.now + timedelta(days=2, hours=20))
    after = dict(subjects(later, story.now))
    assert after[Role.CLIENT].startswith("Ash, ")
    assert after[Role.THERAPIST].endswith("14:00")
    assert not before & set(after.items())


def test_a_booking_of_release_0_1_has_the_present_name_in_its_subject(story: Story) -> None:
    booking = story.ask()
    TimelineEntry.update(facts={"fee_minor": 6000}).execute()
    profile.update("asha", {"given_name": "Ash"}, story.now)
    shown = dict(subjects(story.reload(booking), story.now))
    assert shown[Role.CLIENT].startswith("Ash, ")


def test_an_erased_client_is_in_no_subject(story: Story) -> None:
    booking = story.ask()
    story.withdraw(booking)
    erase_client(DEE[1], story.now)
    shown = subjects(story.reload(booking), story.now)
    assert [subject for _, subject in shown if "Dee" in subject] == []


def test_a_reply_goes_to_the_support_address_in_every_email(story: Story) -> None:
    changes = {"support_email": "help@mindsum.example", "crisis_note": "Call 112 in danger."}
    config.use(config.current().model_copy(update=changes))
    story.ask()
    messages = [compose(email, story.now) for email in OutboxEmail.select()]
    assert [each.reply_to.addr_spec for each in messages] == ["help@mindsum.example"] * 2
    assert all("help@mindsum.example" in each.text for each in messages)
    assert ["Call 112" in each.text for each in messages] == [False, True]


def test_a_request_shows_the_accepted_sessions_of_the_therapists_own_day(story: Story) -> None:
    """On Lord Howe, nine to five begins at 22:00 UTC of the day before."""
    for day, hour in ((4, 5), (4, 22), (5, 4), (5, 22)):
        starts_at = datetime(2026, 11, day, hour, tzinfo=UTC)
        story.accept(story.ask("chi", starts_at=starts_at))
    waiting = datetime(2026, 11, 5, 2, tzinfo=UTC)
    story.ask("chi", starts_at=waiting)
    request = story.ask("chi", starts_at=datetime(2026, 11, 5, 1, tzinfo=UTC))
    text = text_of("booking_requested", request, story.now)
    day_line = next(line for line in text.splitlines() if line.startswith("Your day"))
    assert re.findall(r"\d\d:\d\d–", day_line) == ["09:00–", "12:00–", "15:00–"]
    assert "12:50 (this request)" in day_line


def test_a_request_on_an_empty_day_says_that_there_is_nothing_else(story: Story) -> None:
    booking = story.ask()
    assert "(this request), nothing else" in text_of("booking_requested", booking, story.now)


def test_each_link_is_minted_anew_when_the_email_is_composed(story: Story) -> None:
    booking = story.ask()
    first = text_of("booking_received", booking, story.now)
    later = text_of("booking_received", booking, story.wait(seconds=2))
    assert first != later


def test_an_alert_about_an_unreachable_therapist_needs_no_streak(story: Story) -> None:
    booking = story.ask()
    facts = {"what": "unreachable"}
    alert = outbox.enqueue("account_alert", Role.OPS, booking=booking, facts=facts, now=story.now)
    assert booking.reference in compose(alert, story.now).text
