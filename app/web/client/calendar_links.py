"""Add to calendar: links that open a calendar service with a session filled in."""

from datetime import UTC, datetime
from urllib.parse import urlencode

from app import config
from app.services.bookings.session_facts import session_of
from app.store.models import Booking
from emails.calendar import TITLES

_GOOGLE = "https://calendar.google.com/calendar/render"
_OUTLOOK = "https://outlook.live.com/calendar/0/deeplink/compose"


def links(booking: Booking) -> dict[str, str]:
    """Addresses by the name of the service.

    They hold the time, the therapist's given name and our address. No link of the booking, since
    the service sees it; no meeting link, since the entry there would keep an old one.
    """
    title = f"{TITLES['confirmed']} {session_of(booking).therapist_name}"
    where = f"Where you meet, and any change: {config.current().public_url}/my-links"
    times = [each.astimezone(UTC) for each in (booking.starts_at, booking.ends_at)]
    google = {
        "action": "TEMPLATE",
        "text": title,
        "dates": "/".join(f"{each:%Y%m%dT%H%M%SZ}" for each in times),
        "details": where,
    }
    outlook = {
        "path": "/calendar/action/compose",
        "rru": "addevent",
        "subject": title,
        "startdt": _iso(times[0]),
        "enddt": _iso(times[1]),
        "body": where,
    }
    return {
        "Google Calendar": f"{_GOOGLE}?{urlencode(google)}",
        "Outlook": f"{_OUTLOOK}?{urlencode(outlook)}",
    }


def _iso(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
