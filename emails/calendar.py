"""A booking's calendar entry: one event from its first request to its end (RFC 5545)."""

from datetime import datetime, timedelta
from urllib.parse import quote

from icalendar import Alarm, Calendar, Event, vCalAddress, vUri

from emails.addresses import mailbox, sender_mailbox
from emails.kinds import CalendarState
from emails.message import CalendarPart, Envelope, Method, Session
from emails.safety import UnsafeValue, check_instant, check_url

THERAPIST_ALARM = timedelta(minutes=15)


def event_uid(reference: str) -> str:
    # The same for every reader and for the booking's whole life.
    return f"{reference}@mindsum-bookings"


def calendar_part(
    state: CalendarState,
    envelope: Envelope,
    session: Session,
    *,
    sequence: int,
    meeting_url: str | None = None,
) -> CalendarPart:
    event = _event(session, sequence, envelope.sent_at, state, meeting_url)
    if state != "cancelled" and envelope.role == "therapist":
        alarm = Alarm()
        alarm.add("action", "DISPLAY")
        alarm.add("description", "Session")
        alarm.add("trigger", -THERAPIST_ALARM)
        event.add_component(alarm)
    attendee = vCalAddress(_mailto(mailbox("recipient", envelope.recipient).addr_spec))
    partstat = "ACCEPTED" if state == "confirmed" else "NEEDS-ACTION"
    attendee.params.update(ROLE="REQ-PARTICIPANT", PARTSTAT=partstat, RSVP="FALSE")
    event.add("attendee", attendee)
    method: Method = "CANCEL" if state == "cancelled" else "REQUEST"
    return CalendarPart(content=_calendar(event, envelope.sender, method), method=method)


def file_of_event(
    session: Session, *, sequence: int, sender: str, stamped_at: datetime, meeting_url: str | None
) -> bytes:
    """The confirmed event as a file to download: the emailed entry without attendee or alarm."""
    stamped_at = check_instant("stamped_at", stamped_at)
    event = _event(session, sequence, stamped_at, "confirmed", meeting_url)
    return _calendar(event, sender, "PUBLISH")


def _event(
    session: Session,
    sequence: int,
    stamped_at: datetime,
    state: CalendarState,
    meeting_url: str | None,
) -> Event:
    if sequence < 0:
        raise UnsafeValue("sequence", "0 or more")
    event = Event()
    event.add("uid", event_uid(session.reference))
    event.add("sequence", sequence)
    event.add("dtstamp", stamped_at)
    event.add("dtstart", session.starts_at)
    event.add("dtend", session.ends_at)
    # Calendars are often shared: the title names neither person nor the kind of session.
    event.add("summary", "Session")
    event.add("description", f"Reference {session.reference}")
    event.add("class", "PRIVATE")
    event.add("status", state.upper())
    if state == "cancelled":
        event.add("transp", "TRANSPARENT")
        return event
    event.add("transp", "OPAQUE")
    # Outlook shows STATUS only through its own property.
    event.add("x-microsoft-cdo-busystatus", "BUSY" if state == "confirmed" else "TENTATIVE")
    if meeting_url is not None:
        check_url("meeting_url", meeting_url)
        event.add("location", meeting_url)
        event.add("url", vUri(meeting_url))
    return event


def _calendar(event: Event, sender: str, method: str) -> bytes:
    organizer = sender_mailbox("sender", sender)
    event.add("organizer", vCalAddress(_mailto(organizer.addr_spec)))
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
