"""Which bookings have messages that their therapist has not opened."""

import pytest

from app.rules.lifecycle import Actor
from app.services.bookings import messages
from app.services.clients.erase import erase_client
from app.store import queries
from app.store.models import Booking, Purpose
from app.store.queries import calendar
from tests.scenarios.cast import Cast
from tests.scenarios.story import ELI, Story

pytestmark = pytest.mark.both_databases


def unread(cast: Cast) -> list[str]:
    return [booking.reference for booking in calendar.unread_of(cast.asha)]


def say(story: Story, booking: Booking, text: str, author: Actor = Actor.CLIENT) -> None:
    messages.send(booking, text, author=author, now=story.now)


def read(story: Story, booking: Booking) -> None:
    messages.note_read(booking, queries.writings_of(booking, Purpose.MESSAGE))


def test_a_clients_message_is_unread_until_it_is_opened(story: Story, cast: Cast) -> None:
    first, second = story.ask(), story.ask(client=ELI, starts_at=story.now.replace(day=6))
    say(story, second, "Hello.")
    story.wait(minutes=1)
    say(story, first, "Good morning.")
    assert unread(cast) == [second.reference, first.reference]
    read(story, second)
    read(story, second)
    assert unread(cast) == [first.reference]


def test_what_the_therapist_writes_is_never_unread(story: Story, cast: Cast) -> None:
    say(story, story.ask(), "Hello.", Actor.THERAPIST)
    assert unread(cast) == []


def test_a_message_that_comes_while_the_others_are_read_stays_unread(
    story: Story, cast: Cast
) -> None:
    booking = story.ask()
    say(story, booking, "One.")
    shown = queries.writings_of(booking, Purpose.MESSAGE)
    later = story.wait(minutes=5)
    say(story, story.reload(booking), "Two.")
    messages.note_read(booking, shown)
    assert [each.unread_since for each in calendar.unread_of(cast.asha)] == [later]


def test_nothing_is_unread_of_a_client_who_was_erased(story: Story, cast: Cast) -> None:
    booking = story.ask()
    say(story, booking, "Hello.")
    story.decline(booking)
    erase_client("dee@clients.example", story.now)
    assert unread(cast) == []
