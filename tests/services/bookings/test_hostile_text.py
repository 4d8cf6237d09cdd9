"""Notes, reasons and messages: hostile text is refused, or accepted and in no email."""

import unicodedata
from datetime import timedelta
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.rules.lifecycle import Actor
from app.services import validation
from app.services.bookings import messages
from app.services.mail.compose import compose
from app.store.db import database
from app.store.models import Booking, OutboxEmail, Purpose, Writing
from tests.emails.test_hostile_values import EXAMPLES, HEADERS, HOSTILE
from tests.scenarios.story import Story

REPLY = {"In-Reply-To", "References"}
WORDS = st.text(max_size=200)
FIELDS = (Purpose.NOTE, Purpose.REASON, Purpose.MESSAGE)


def validated(words: str) -> str | None:
    """The validated text; None if it is refused."""
    try:
        return validation.text(words)
    except ValueError:
        return None


def write(story: Story, booking: Booking, words: str) -> None:
    """Send the words from the client to the therapist and back."""
    for author in (Actor.CLIENT, Actor.THERAPIST):
        messages.send(booking, words, author=author, now=story.now)


def everything_in(parsed: EmailMessage) -> str:
    """Headers and decoded parts."""
    parts = (part.get_payload(decode=True) for part in parsed.walk() if not part.is_multipart())
    texts = [part.decode() for part in parts if isinstance(part, bytes)]
    return "\n".join([*map(str, parsed.values()), *texts])


@pytest.mark.parametrize("words", ["Dee\0", "\ud800", "a\x85b", "a\x0bb", "a" * 1_000_000])
def test_control_characters_and_overlong_text_are_refused(words: str) -> None:
    assert validated(words) is None


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_hostile_writings_that_are_accepted_are_in_no_email(story: Story) -> None:
    kept = [typed for words in HOSTILE if (typed := validated(f"axolotl {words} narwhal"))]
    assert len(HOSTILE) - len(kept) == 5
    tomorrow = story.now + timedelta(days=1, hours=1)
    bookings = {}
    for day, typed in enumerate(kept):
        booking = story.ask(starts_at=tomorrow + timedelta(days=day), note=typed)
        write(story, booking, typed)
        bookings[typed] = booking
    sent = story.sent()
    for typed, booking in bookings.items():
        story.decline(booking, reason=typed)
    sent += story.sent()
    assert Writing.select().count() == 4 * len(kept)
    assert len(sent) == 6 * len(kept)
    for each in sent:
        assert_quiet_and_well_formed(each.raw)


def assert_quiet_and_well_formed(raw: bytes) -> None:
    parsed = BytesParser(policy=policy.default).parsebytes(raw)
    assert isinstance(parsed, EmailMessage)
    assert len(parsed.keys()) == len(set(parsed.keys()))
    assert set(parsed.keys()) - REPLY == HEADERS
    assert not any(part.defects for part in parsed.walk())
    said = everything_in(parsed)
    assert said.count(parsed["X-Mindsum-Booking"]) > 2, "the parts were decoded"
    assert "axolotl" not in said
    assert "narwhal" not in said


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_no_email_depends_on_what_was_written(story: Story) -> None:
    booking = story.ask(note="quiet")
    write(story, booking, "quiet")
    story.decline(booking, reason="quiet")
    emails = list(OutboxEmail.select().order_by(OutboxEmail.id))
    quiet = [compose(email, story.now) for email in emails]
    assert len(quiet) == 6

    @settings(max_examples=EXAMPLES, deadline=None)
    @given(st.tuples(WORDS, WORDS, WORDS))
    def stays_the_same(written: tuple[str, ...]) -> None:
        for purpose, words in zip(FIELDS, written, strict=True):
            typed = validated(words)
            if typed is not None:
                odd = {each for each in typed if unicodedata.category(each) in {"Cc", "Cs"}}
                assert odd <= {"\n", "\t"}
                rewrite(booking, purpose, typed)
        assert [compose(email, story.now) for email in emails] == quiet

    with database.db.atomic():
        stays_the_same()


def rewrite(booking: Booking, purpose: Purpose, words: str) -> None:
    rows = list(Writing.select().where(Writing.booking == booking, Writing.purpose == purpose))
    assert len(rows) == (2 if purpose is Purpose.MESSAGE else 1)
    for row in rows:
        row.body = words
        row.save()
