"""The iCalendar object of a booking: one event from its first request to its end (RFC 5545)."""

from datetime import datetime, timedelta
from urllib.parse import quote

from icalendar import Alarm, Calendar, Event, vCalAddress, vUri

from emails.message import CalendarPart, Envelope, Method, Session
from emails.safety import UnsafeValue, check_instant, check_url, mailbox, sender_mailbox


def event_uid(reference: str) -> str:
    """The UID of a booking's event: the same for everyone and for its whole life."""
    return f"{reference}@mindsum-bookings"


def invitation(
    envelope: Envelope,
    session: Session,
    *,
    sequence: int,
    confirmed: bool,
    meeting_url: str | None = None,
    alarm_minutes: int | None = None,
) -> CalendarPart:
    """The event as tentative or confirmed, at `meeting_url`, with an alarm so long before it."""
    event = _held_event(session, sequence, envelope.sent_at, confirmed, meeting_url)
    if alarm_minutes is not None:
        alarm = Alarm()
        alarm.add("action", "DISPLAY")
        alarm.add("description", "Session")
        alarm.add("trigger", timedelta(minutes=-alarm_minutes))
        event.add_component(alarm)
    partstat = "ACCEPTED" if confirmed else "NEEDS-ACTION"
    return _part(envelope, event, "REQUEST", partstat)


def cancellation(envelope: Envelope, session: Session, *, sequence: int) -> CalendarPart:
    """What takes the event out of the reader's calendar."""
    event = _event(session, sequence, envelope.sent_at, "CANCELLED")
    event.add("transp", "TRANSPARENT")
    return _part(envelope, event, "CANCEL", "NEEDS-ACTION")


def file_of_event(
    session: Session, *, sequence: int, sender: str, stamped_at: datetime, meeting_url: str | None
) -> bytes:
    """The confirmed event as a file to keep: the same entry as the emailed one, without a reply."""
    stamped_at = check_instant("stamped_at", stamped_at)
    event = _held_event(session, sequence, stamped_at, True, meeting_url)
    return _calendar(event, sender, "PUBLISH")


def _held_event(
    session: Session,
    sequence: int,
    stamped_at: datetime,
    confirmed: bool,
    meeting_url: str | None,
) -> Event:
    status, busy = ("CONFIRMED", "BUSY") if confirmed else ("TENTATIVE", "TENTATIVE")
    event = _event(session, sequence, stamped_at, status)
    event.add("transp", "OPAQUE")
    # Outlook shows STATUS only through its own property.
    event.add("x-microsoft-cdo-busystatus", busy)
    if meeting_url is not None:
        check_url("meeting_url", meeting_url)
        event.add("location", meeting_url)
        event.add("url", vUri(meeting_url))
    return event


def _event(session: Session, sequence: int, stamped_at: datetime, status: str) -> Event:
    if sequence < 0:
        raise UnsafeValue("sequence", "0 or more")
    event = Event()
    event.add("uid", event_uid(session.reference))
    event.add("sequence", sequence)
    event.add("dtstamp", stamped_at)
    event.add("dtstart", session.starts_at)
    event.add("dtend", session.ends_at)
    # Calendars are often shared: the title says neither who nor what kind of session.
    event.add("summary", "Session")
    event.add("description", f"Reference {session.reference}")
    event.add("class", "PRIVATE")
    event.add("status", status)
    return event


def _part(envelope: Envelope, event: Event, method: Method, partstat: str) -> CalendarPart:
    attendee = vCalAddress(_mailto(mailbox("recipient", envelope.recipient).addr_spec))
    attendee.params.update(ROLE="REQ-PARTICIPANT", PARTSTAT=partstat, RSVP="FALSE")
    event.add("attendee", attendee)
    return CalendarPart(content=_calendar(event, envelope.sender, method), method=method)


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
