"""Choose Someone Else: who could take a booking's place."""

from datetime import datetime, timedelta

from app import config
from app.rules.lifecycle import Kind
from app.services import calendar
from app.services.calendar import OpenSlot
from app.store import queries
from app.store.models import Booking, Therapist

MOST = 3
_LOOKED_AT = 60
_NEAR = timedelta(days=7)


def others_for(booking: Booking, now: datetime) -> list[OpenSlot]:
    """Up to three other therapists for the client, best first: free at that same time.

    Where that time is no longer possible, or nobody has it open, with their nearest open time.
    """
    kind = Kind(booking.kind)
    candidates = _candidates(booking, kind, now)
    if booking.starts_at - now >= config.current().policy.min_notice:
        same_time = calendar.free_at(candidates, kind, booking.starts_at, now)
        if same_time:
            return same_time[:MOST]
    nearest = [
        OpenSlot(therapist, starts_at)
        for therapist in candidates
        if (starts_at := _nearest(therapist, kind, booking.starts_at, now)) is not None
    ]
    nearest.sort(key=lambda slot: abs(slot.starts_at - booking.starts_at))
    return nearest[:MOST]


def _candidates(booking: Booking, kind: Kind, now: datetime) -> list[Therapist]:
    listed = queries.therapists_listed(now).where(Therapist.id != booking.therapist_id)
    if kind is Kind.FREE_CONSULTATION:
        used = queries.free_consultations_of(booking.client)
        listed = listed.where(Therapist.offers_free_consultation, Therapist.id.not_in(used))
    return list(listed.limit(_LOOKED_AT))


def _nearest(
    therapist: Therapist, kind: Kind, wanted_at: datetime, now: datetime
) -> datetime | None:
    from_at = max(now, wanted_at - _NEAR)
    starts = calendar.open_times(
        therapist, kind, from_at=from_at, until_at=from_at + 2 * _NEAR, now=now
    )
    return min(starts, key=lambda start: abs(start - wanted_at), default=None)
