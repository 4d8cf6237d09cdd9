"""A booking's calendar entry: one event from its first request to its end (RFC 5545)."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from emails import ical
from emails.addresses import mailbox, sender_mailbox
from emails.kinds import CalendarState, Role
from emails.message import CalendarPart, Method, Session
from emails.safety import UnsafeValue, check_instant, check_url

# A quarter of an hour before a therapist's session.
_ALARM = ical.component(
    "VALARM",
    (
        ical.line("ACTION", "DISPLAY"),
        ical.line("DESCRIPTION", "Session"),
        ical.line("TRIGGER", "-PT15M"),
    ),
)
# Others may see the calendar: a title has a given name, and nothing of what the session is.
TITLES: dict[CalendarState, str] = {
    "tentative": "Request from",
    "confirmed": "Session with",
    "cancelled": "Cancelled:",
}


def event_uid(reference: str) -> str:
    # The same for every reader and for the booking's whole life.
    return f"{reference}@mindsum-bookings"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One reader's entry of a booking.

    `organizer` is the sender that the booking's first email had: calendar programs take updates
    only from the same one. `hears_answers`: whether a Yes or No reaches it. `url` is a page that
    shows nothing without a sign-in or a link of the reader's own, since calendars are often shared.
    """

    role: Role
    session: Session
    sequence: int
    stamped_at: datetime
    organizer: str
    support_email: str
    url: str
    meeting_url: str | None = None
    hears_answers: bool = False

    def __post_init__(self) -> None:
        if self.sequence < 0:
            raise UnsafeValue("sequence", "0 or more")
        check_url("entry_url", self.url)
        if self.meeting_url is not None:
            check_url("meeting_url", self.meeting_url)
        object.__setattr__(self, "stamped_at", check_instant("stamped_at", self.stamped_at))

    def title(self, state: CalendarState) -> str:
        session = self.session
        other = session.client_name if self.role == "therapist" else session.therapist_name
        return f"{TITLES[state]} {other}"

    def description(self, state: CalendarState) -> str:
        reference = f"Reference {self.session.reference}"
        if state == "cancelled":
            return reference
        page = "View Session" if self.role == "therapist" else "Manage Booking"
        use = "Accept or Decline" if state == "tentative" else page
        if not self.hears_answers:
            answers = f"We do not see a Yes or No to this entry: please use {use} in our email."
        elif state == "tentative" and self.role == "therapist":
            answers = "Yes to this entry accepts, No declines."
        else:
            answers = f"No to this entry does not cancel: please use {page} in our email."
        return f"{reference}\n{answers}\nQuestions: {self.support_email}\n{self.url}"


def calendar_part(state: CalendarState, entry: Entry, recipient: str) -> CalendarPart:
    method: Method = "CANCEL" if state == "cancelled" else "REQUEST"
    partstat = "ACCEPTED" if state == "confirmed" else "NEEDS-ACTION"
    # Without RSVP some programs have no buttons, and others do not send what was pressed.
    rsvp = "TRUE" if entry.hears_answers and state != "cancelled" else "FALSE"
    attendee = ical.line(
        "ATTENDEE",
        _mailto(mailbox("recipient", recipient).addr_spec),
        {"PARTSTAT": partstat, "ROLE": "REQ-PARTICIPANT", "RSVP": rsvp},
    )
    alarm = _ALARM if state != "cancelled" and entry.role == "therapist" else ""
    return CalendarPart(content=_calendar(state, entry, method, attendee, alarm), method=method)


def file_of_event(entry: Entry) -> bytes:
    """The confirmed event as a file to download: the emailed entry without attendee or alarm."""
    return _calendar("confirmed", entry, "PUBLISH")


def _calendar(
    state: CalendarState, entry: Entry, method: str, attendee: str = "", alarm: str = ""
) -> bytes:
    head = (
        ical.line("VERSION", "2.0"),
        ical.line("PRODID", "-//Mindsum//Bookings//EN"),
        ical.line("CALSCALE", "GREGORIAN"),
        ical.line("METHOD", method),
    )
    event = ical.component("VEVENT", (*_event(state, entry, attendee), alarm))
    return ical.component("VCALENDAR", (*head, event)).encode()


def _event(state: CalendarState, entry: Entry, attendee: str) -> Iterator[str]:
    session, organizer = entry.session, sender_mailbox("organizer", entry.organizer)
    yield ical.line("SUMMARY", ical.text(entry.title(state)))
    yield ical.line("DTSTART", ical.instant(session.starts_at))
    yield ical.line("DTEND", ical.instant(session.ends_at))
    yield ical.line("DTSTAMP", ical.instant(entry.stamped_at))
    yield ical.line("UID", event_uid(session.reference))
    yield ical.line("SEQUENCE", str(entry.sequence))
    yield attendee
    yield ical.line("CLASS", "PRIVATE")
    yield ical.line("DESCRIPTION", ical.text(entry.description(state)))
    if entry.meeting_url is not None and state == "confirmed":
        yield ical.line("LOCATION", ical.text(entry.meeting_url))
    yield ical.line("ORGANIZER", _mailto(organizer.addr_spec), {"CN": organizer.display_name})
    yield ical.line("STATUS", state.upper())
    yield ical.line("TRANSP", "TRANSPARENT" if state == "cancelled" else "OPAQUE")
    yield ical.line("URL", entry.url)
    if state == "cancelled":
        return
    # Outlook shows STATUS only through its own property.
    yield ical.line("X-MICROSOFT-CDO-BUSYSTATUS", "BUSY" if state == "confirmed" else "TENTATIVE")
    if entry.hears_answers:
        # Outlook then offers no other time, which an answer by calendar cannot settle.
        yield ical.line("X-MICROSOFT-DISALLOW-COUNTER", "TRUE")


def _mailto(address: str) -> str:
    return "mailto:" + quote(address, safe="@+!$*-._~=/'")
