"""Calendar programs that process the invitations of our emails (RFC 5546, RFC 6047).

They read what an email carries with `ical`; we write our calendars by hand and read those of
others with icalendar.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import parseaddr
from typing import Any

from ical.calendar_stream import IcsCalendarStream


@dataclass(frozen=True, slots=True)
class Invitation:
    """The one event of a calendar part, and who sent it. Addresses are in lower case."""

    method: str
    uid: str
    sequence: int
    stamped_at: datetime
    organizer: str
    attendees: frozenset[str]
    starts_at: datetime
    ends_at: datetime
    status: str
    location: str
    # Of From and Reply-To.
    senders: frozenset[str]


@dataclass(frozen=True, slots=True)
class Rules:
    """In what the programs differ; each drops what it does not take without a word."""

    # An equal SEQUENCE changes nothing, however new; otherwise the newer DTSTAMP decides.
    needs_higher_sequence: bool = False
    # An update of another organizer is an entry of its own; otherwise it is dropped.
    keeps_organizers_apart: bool = False
    # A cancellation counts only if its email comes from, or is answered to, the organizer.
    checks_sender_of_cancel: bool = False


PROGRAMS = {
    "gmail": Rules(),
    "outlook": Rules(needs_higher_sequence=True),
    "apple": Rules(keeps_organizers_apart=True, checks_sender_of_cancel=True),
}


@dataclass
class CalendarProgram:
    """The calendar of the person whose address is `owner`."""

    rules: Rules
    owner: str
    _entries: dict[tuple[str, str], Invitation] = field(default_factory=dict)

    def receive(self, email: EmailMessage) -> None:
        for invitation in invitations(email):
            self._process(invitation)

    @property
    def shown(self) -> list[Invitation]:
        """The entries that the owner sees."""
        return [each for each in self._entries.values() if each.method == "REQUEST"]

    def _process(self, new: Invitation) -> None:
        key = (new.uid, new.organizer if self.rules.keeps_organizers_apart else "")
        known = self._entries.get(key)
        if new.method not in ("REQUEST", "CANCEL") or self.owner not in new.attendees:
            return
        if new.method == "CANCEL" and known is None:
            return
        if known is not None and not self._replaces(new, known):
            return
        self._entries[key] = new

    def _replaces(self, new: Invitation, known: Invitation) -> bool:
        if new.organizer != known.organizer:
            return False
        is_trusted = new.organizer in new.senders or not self.rules.checks_sender_of_cancel
        if new.method == "CANCEL" and not is_trusted:
            return False
        if self.rules.needs_higher_sequence:
            return new.sequence > known.sequence
        return (new.sequence, new.stamped_at) > (known.sequence, known.stamped_at)


def invitations(email: EmailMessage) -> Iterator[Invitation]:
    """Of the parts whose content type and body name the same method."""
    senders = [parseaddr(str(email[name] or ""))[1] for name in ("From", "Reply-To")]
    for part in email.walk():
        if part.get_content_type() != "text/calendar":
            continue
        calendar = IcsCalendarStream.calendar_from_ics(part.get_content())
        if part.get_param("method") == calendar.method:
            [event] = calendar.events
            yield _invitation(event, str(calendar.method), frozenset(map(str.lower, senders)))


def _invitation(event: Any, method: str, senders: frozenset[str]) -> Invitation:
    return Invitation(
        method=method,
        uid=event.uid,
        sequence=event.sequence,
        stamped_at=event.dtstamp.astimezone(UTC),
        organizer=_address(event.organizer),
        attendees=frozenset(map(_address, event.attendees)),
        starts_at=event.dtstart.astimezone(UTC),
        ends_at=event.dtend.astimezone(UTC),
        status=event.status.value,
        location=event.location or "",
        senders=senders,
    )


def _address(of: Any) -> str:
    return str(of.uri).lower().removeprefix("mailto:")
