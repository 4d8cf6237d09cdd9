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
    from_at = max(now, booking.starts_at - _NEAR)
    times = calendar.open_times_of_each(
        candidates, kind, from_at=from_at, until_at=from_at + 2 * _NEAR, now=now
    )
    if booking.starts_at - now >= config.current().policy.min_notice:
        same_time = [
            OpenSlot(therapist, booking.starts_at)
            for therapist in candidates
            if booking.starts_at in times[therapist.id]
        ]
        if same_time:
            return same_time[:MOST]

    def distance(starts_at: datetime) -> timedelta:
        return abs(starts_at - booking.starts_at)

    nearest = [
        OpenSlot(therapist, min(times[therapist.id], key=distance))
        for therapist in candidates
        if times[therapist.id]
    ]
    nearest.sort(key=lambda slot: distance(slot.starts_at))
    return nearest[:MOST]


def _candidates(booking: Booking, kind: Kind, now: datetime) -> list[Therapist]:
    listed = queries.therapists_listed(now).where(Therapist.id != booking.therapist_id)
    if kind is Kind.FREE_CONSULTATION:
        used = queries.free_consultations_of(booking.client)
        listed = listed.where(Therapist.offers_free_consultation, Therapist.id.not_in(used))
    return list(listed.limit(_LOOKED_AT))
