"""A client's name, given name and time zone belong to the booking they were given for."""

from datetime import timedelta

from app.rules.lifecycle import Kind, Via
from app.services.bookings import replace, request
from app.services.bookings.request import BookingRequest
from app.services.clients.erase import erase_client
from app.services.clients.links import send_links
from app.store.models import Booking
from tests.scenarios.story import DEE, Story

DAY = timedelta(days=1)
OTHER = ("Rao, Dr. Deepa", DEE[1].upper(), "Asia/Tokyo")


def of_client(booking: Booking) -> tuple[str, str, str]:
    return booking.client_name, booking.client_given_name, booking.client_timezone


def test_a_later_request_changes_nothing_on_the_clients_other_bookings(story: Story) -> None:
    first = story.ask()
    story.accept(first)
    second = story.ask("bran", client=OTHER, starts_at=first.starts_at + timedelta(hours=6))
    first = story.reload(first)
    assert first.client == second.client
    assert of_client(first) == ("Dee Stone", "Dee", "America/New_York")
    assert of_client(second) == ("Rao, Dr. Deepa", "Deepa", "Asia/Tokyo")


def test_each_email_has_the_name_and_the_zone_of_its_own_booking(story: Story) -> None:
    first = story.ask()
    second = story.ask("bran", client=OTHER, starts_at=first.starts_at + timedelta(hours=6))
    received = {
        each.parsed["X-Mindsum-Booking"]: each.parsed.get_body(("plain",)).get_content()
        for each in story.sent()
        if each.kind == "booking_received"
    }
    assert "Dee" in received[first.reference]
    assert "New York" in received[first.reference]
    assert "Deepa" in received[second.reference]
    assert "Tokyo" in received[second.reference]
    assert "Rao" not in received[second.reference]


def test_a_given_name_is_kept_as_they_gave_it(story: Story) -> None:
    starts_at = story.now.replace(hour=10, minute=0) + 2 * DAY
    wanted = BookingRequest("asha", *DEE, starts_at, Kind.PAID, given_name="Dr Stone")
    booking = request.request_booking(wanted, via=Via.API, now=story.now)
    assert of_client(booking) == ("Dee Stone", "Dr Stone", "America/New_York")
    other = replace.choose_another(
        booking, "bran", starts_at + timedelta(hours=6), via=Via.LINK, now=story.now
    )
    assert of_client(other) == of_client(booking)


def test_links_sent_again_greet_with_the_newest_name(story: Story) -> None:
    first = story.ask()
    story.ask("bran", client=OTHER, starts_at=first.starts_at + timedelta(hours=6))
    story.deliver()
    send_links(DEE[1], story.now)
    [links] = story.sent()
    words = links.parsed.get_body(("plain",)).get_content()
    assert "Deepa" in words
    assert "Rao" not in words


def test_erasing_leaves_no_name_on_any_booking(story: Story) -> None:
    at = story.now.replace(hour=16, minute=0) + 2 * DAY
    bookings = [story.ask(), story.ask("bran", client=OTHER, starts_at=at)]
    for booking in bookings:
        story.withdraw(booking)
    erase_client(DEE[1], story.now)
    for booking in bookings:
        assert of_client(story.reload(booking)) == ("Erased", "Erased", "UTC")
