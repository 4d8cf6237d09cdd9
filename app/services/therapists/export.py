"""Everything held on a therapist, for a therapist who asks for it."""

from base64 import b64encode
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from app.rules.lifecycle import Actor
from app.rules.weekly_hours import format_windows
from app.services import access_trail, availability, exports
from app.services.access_trail import Access
from app.services.inbound import personal_data
from app.store import queries, suppressions
from app.store.models import (
    AccessEvent,
    Booking,
    OutboxEmail,
    Purpose,
    Role,
    StandingEntry,
    Therapist,
    TimeOff,
)
from app.store.queries import feeds, photos

_BY_THEM = (Purpose.MESSAGE, Purpose.REASON, Purpose.PRIVATE_NOTE)


def export_therapist(slug: str, now: datetime) -> dict[str, Any]:
    """Everything held on a therapist, as JSON values, without what clients wrote. Raises NotFound.

    Raises StoreUnavailable too where the access trail cannot record it.
    """
    therapist = queries.therapist_by_slug(slug)
    record = Access(AccessEvent.EXPORTED, therapist=therapist, about="therapist")
    access_trail.record_required(record, now)
    bookings = Booking.select().where(Booking.therapist == therapist).order_by(Booking.id)
    return {
        **_account(therapist),
        "time_off": [
            {"starts_at": each.starts_at.isoformat(), "ends_at": each.ends_at.isoformat()}
            for each in _rows(TimeOff, therapist)
        ],
        "standing": [
            {
                "at": each.at.isoformat(),
                "event": each.event,
                "streak": each.streak,
                "reason": each.reason,
            }
            for each in _rows(StandingEntry, therapist)
        ],
        "sessions": [
            {"browser": each.browser, "at": each.created_at.isoformat()}
            for each in queries.sessions_that_last(therapist, now)
        ],
        "bookings": [_booking(each) for each in bookings],
        "emails": exports.emails(
            (OutboxEmail.therapist == therapist) & (OutboxEmail.role == Role.THERAPIST)
        ),
        "sent_to_us": personal_data.export(therapist),
        "access": [exports.access(each) for each in queries.access_of_therapist(therapist)],
    }


def _rows(table: type[TimeOff | StandingEntry], therapist: Therapist) -> Iterator[Any]:
    return iter(table.select().where(table.therapist == therapist).order_by(table.id))


def _account(therapist: Therapist) -> dict[str, Any]:
    unreachable, calendar = suppressions.of_address(therapist.email), feeds.feed_of(therapist)
    return {
        "slug": therapist.slug,
        "name": therapist.name,
        "given_name": therapist.given_name,
        "email": therapist.email,
        "phone": queries.phone_of(therapist),
        "timezone": therapist.timezone,
        "since": therapist.created_at.isoformat(),
        "account": str(therapist.state),
        "flagged": therapist.is_flagged,
        "streak": therapist.streak,
        "score": float(therapist.shown_score),
        "rate_minor": therapist.rate_minor,
        "currency": therapist.currency,
        "offers_free_consultation": therapist.offers_free_consultation,
        "meeting_url": therapist.meeting_url,
        "headline": therapist.headline,
        "about": therapist.about,
        "specialisms": therapist.specialisms,
        "qualifications": therapist.qualifications,
        "languages": therapist.languages,
        "available": format_windows(availability.windows_of(therapist)),
        "photo": _photo(therapist),
        "calendar_feed_since": calendar and calendar.created_at.isoformat(),
        "no_emails_because": unreachable.reason if unreachable else None,
    }


def _photo(therapist: Therapist) -> dict[str, str] | None:
    photo = photos.photo_of(therapist)
    if photo is None:
        return None
    return {
        "uploaded_at": photo.uploaded_at.isoformat(),
        "type": "image/webp",
        "base64": b64encode(photo.large).decode(),
    }


def _booking(booking: Booking) -> dict[str, Any]:
    # Of the client only what their own pages call them; what clients wrote is the clients'.
    written = [
        each for each in queries.writings_of(booking, *_BY_THEM) if each.author is Actor.THERAPIST
    ]
    return {
        "reference": booking.reference,
        "client": booking.client_given_name,
        **exports.booking(booking, Role.THERAPIST, written),
    }
