"""What an email says and carries where the mail door hears what comes back, and where not."""

import pytest

from emails.message import Message
from emails.samples import DOOR, SAMPLES, SENDER, SUPPORT, sample


def calendar_of(message: Message) -> str:
    assert message.calendar is not None
    return message.calendar.content.decode().replace("\r\n ", "")


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_without_a_mail_door_replies_go_to_support_and_no_answer_is_asked_for(name: str) -> None:
    message = SAMPLES[name]()
    assert str(message.reply_to) == SUPPORT
    assert "in.mindsum.example" not in message.to_bytes().decode()
    if message.calendar is not None:
        entry = calendar_of(message)
        assert "RSVP=TRUE" not in entry
        assert f"mailto:{SENDER.partition('<')[2].rstrip('>')}" in entry
        assert "DISALLOW-COUNTER" not in entry
        assert "METHOD:CANCEL" in entry or "We do not see a Yes or No" in entry


@pytest.mark.parametrize("kind", ["booking_requested", "booking_accepted"])
def test_with_a_mail_door_an_answer_to_the_entry_is_asked_for(kind: str) -> None:
    message = sample(kind, hears=True)
    entry, role = calendar_of(message), "client" if kind == "booking_accepted" else "therapist"
    assert f"ORGANIZER;CN=Mindsum:mailto:{DOOR[role]}" in entry  # type: ignore[index]
    assert message.reply_to.addr_spec == DOOR[role]  # type: ignore[index]
    assert "RSVP=TRUE" in entry
    assert "X-MICROSOFT-DISALLOW-COUNTER:TRUE" in entry
    assert "We do not see a Yes or No" not in entry + message.text + message.html


def test_a_cancelled_entry_asks_for_no_answer_and_keeps_its_organizer() -> None:
    entry = calendar_of(sample("enquiry_declined", hears=True))
    assert f"mailto:{DOOR['therapist']}" in entry
    assert "RSVP=TRUE" not in entry
