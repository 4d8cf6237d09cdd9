"""A therapist's sessions as one calendar that programs read again and again (RFC 5545)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from emails import ical
from emails.calendar import TITLES, event_uid
from emails.safety import check_reference, check_url, clean_name

_HEAD = tuple(
    ical.line(name, value)
    for name, value in (
        ("VERSION", "2.0"),
        ("PRODID", "-//Mindsum//Bookings feed//EN"),
        ("CALSCALE", "GREGORIAN"),
        ("METHOD", "PUBLISH"),
        ("X-WR-CALNAME", "Mindsum sessions"),
        # How often programs should ask again; the second one is Outlook's.
        ("REFRESH-INTERVAL;VALUE=DURATION", "PT15M"),
        ("X-PUBLISHED-TTL", "PT15M"),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedEntry:
    """Instants in UTC; `changed_at`: when the booking took its present state.

    `url`: a page behind a sign-in.
    """

    reference: str
    client_name: str
    starts_at: datetime
    ends_at: datetime
    is_confirmed: bool
    sequence: int
    changed_at: datetime
    url: str
    meeting_url: str | None = None


def feed(entries: Iterable[FeedEntry], *, shows_names: bool) -> bytes:
    """The same bytes for the same entries. Without names, a title says only that time is taken.

    Raises UnsafeValue.
    """
    told = _named if shows_names else _busy
    events = [ical.component("VEVENT", (*_times(each), *told(each))) for each in entries]
    return ical.component("VCALENDAR", (*_HEAD, *events)).encode()


def _times(entry: FeedEntry) -> Iterator[str]:
    yield ical.line("UID", event_uid(check_reference("reference", entry.reference)))
    yield ical.line("SEQUENCE", str(entry.sequence))
    yield ical.line("DTSTAMP", ical.instant(entry.changed_at))
    yield ical.line("DTSTART", ical.instant(entry.starts_at))
    yield ical.line("DTEND", ical.instant(entry.ends_at))
    yield ical.line("STATUS", "CONFIRMED" if entry.is_confirmed else "TENTATIVE")
    yield ical.line("TRANSP", "OPAQUE")
    yield ical.line("CLASS", "PRIVATE")
    # Outlook shows STATUS only through its own property.
    yield ical.line("X-MICROSOFT-CDO-BUSYSTATUS", "BUSY" if entry.is_confirmed else "TENTATIVE")


def _busy(entry: FeedEntry) -> Iterator[str]:
    title = "Busy" if entry.is_confirmed else "Busy, not confirmed yet"
    yield ical.line("SUMMARY", ical.text(title))


def _named(entry: FeedEntry) -> Iterator[str]:
    title = TITLES["confirmed" if entry.is_confirmed else "tentative"]
    url = check_url("url", entry.url)
    yield ical.line("SUMMARY", ical.text(f"{title} {clean_name(entry.client_name, 'a client')}"))
    yield ical.line("DESCRIPTION", ical.text(f"Reference {entry.reference}\n{url}"))
    yield ical.line("URL", url)
    if entry.meeting_url is not None and entry.is_confirmed:
        yield ical.line("LOCATION", ical.text(check_url("meeting_url", entry.meeting_url)))
