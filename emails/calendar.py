"""A booking's calendar entry: one event from its first request to its end (RFC 5545)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import quote

from icalendar import Alarm, Calendar, Event, vCalAddress, vUri

from emails.addresses import mailbox, sender_mailbox
from emails.kinds import CalendarState, Role
from emails.message import CalendarPart, Method, Session
from emails.safety import UnsafeValue, check_instant, check_url

THERAPIST_ALARM = timedelta(minutes=15)
# Others may see the calendar: a title has a given name, and nothing of what the session is.
_TITLES: dict[CalendarState, str] = {
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
        return f"{_TITLES[state]} {other}"

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
    event = _event(state, entry)
    if state != "cancelled" and entry.role == "therapist":
        alarm = Alarm()
        alarm.add("action", "DISPLAY")
        alarm.add("description", "Session")
        alarm.add("trigger", -THERAPIST_ALARM)
        event.add_component(alarm)
    attendee = vCalAddress(_mailto(mailbox("recipient", recipient).addr_spec))
    partstat = "ACCEPTED" if state == "confirmed" else "NEEDS-ACTION"
    # Without RSVP some programs have no buttons, and others do not send what was pressed.
    rsvp = "TRUE" if entry.hears_answers and state != "cancelled" else "FALSE"
    attendee.params.update(ROLE="REQ-PARTICIPANT", PARTSTAT=partstat, RSVP=rsvp)
    event.add("attendee", attendee)
    method: Method = "CANCEL" if state == "cancelled" else "REQUEST"
    return CalendarPart(content=_calendar(event, method), method=method)


def file_of_event(entry: Entry) -> bytes:
    """The confirmed event as a file to download: the emailed entry without attendee or alarm."""
    return _calendar(_event("confirmed", entry), "PUBLISH")


def _event(state: CalendarState, entry: Entry) -> Event:
    event = Event()
    event.add("uid", event_uid(entry.session.reference))
    event.add("sequence", entry.sequence)
    event.add("dtstamp", entry.stamped_at)
    event.add("dtstart", entry.session.starts_at)
    event.add("dtend", entry.session.ends_at)
    event.add("summary", entry.title(state))
    event.add("description", entry.description(state))
    event.add("class", "PRIVATE")
    event.add("status", state.upper())
    event.add("url", vUri(entry.url))
    organizer = sender_mailbox("organizer", entry.organizer)
    address = vCalAddress(_mailto(organizer.addr_spec))
    address.params["CN"] = organizer.display_name
    event.add("organizer", address)
    if state == "cancelled":
        event.add("transp", "TRANSPARENT")
        return event
    event.add("transp", "OPAQUE")
    # Outlook shows STATUS only through its own property.
    event.add("x-microsoft-cdo-busystatus", "BUSY" if state == "confirmed" else "TENTATIVE")
    if entry.hears_answers:
        # Outlook then offers no other time, which an answer by calendar cannot settle.
        event.add("x-microsoft-disallow-counter", "TRUE")
    if entry.meeting_url is not None:
        event.add("location", entry.meeting_url)
    return event


def _calendar(event: Event, method: str) -> bytes:
    calendar = Calendar()
    calendar.add("prodid", "-//Mindsum//Bookings//EN")
    calendar.add("version", "2.0")
    calendar.add("calscale", "GREGORIAN")
    calendar.add("method", method)
    calendar.add_component(event)
    content: bytes = calendar.to_ical()
    return content


def _mailto(address: str) -> str:
    return "mailto:" + quote(address, safe="@+!$*-._~=/'")
