"""What a therapist's calendar shows of a span of time, and which messages are unread."""

from datetime import datetime
from typing import NamedTuple

from app.rules.lifecycle import Actor, Status
from app.store.db.statements import Statement
from app.store.models import Booking, Proposal, ProposedTime, Therapist, TimeOff
from app.store.queries.bookings import LONGEST_SESSION, with_therapist_and_client

_SHOWN = (Status.REQUESTED, Status.ACCEPTED, Status.COMPLETED, Status.NO_SHOW)

_BETWEEN = Statement[Booking](
    lambda therapist_id, starts_after, start, end: with_therapist_and_client(
        (Booking.therapist == therapist_id)
        & Booking.status.in_(_SHOWN)
        & (Booking.starts_at < end)
        & (Booking.starts_at > starts_after)
        & (Booking.ends_at > start)
    ).order_by(Booking.starts_at, Booking.id)
)
_PROPOSED = Statement[tuple[datetime, datetime, Actor, str, str]](
    lambda therapist_id, starts_after, start, end, now: (
        ProposedTime.select(
            ProposedTime.starts_at,
            ProposedTime.ends_at,
            Proposal.by,
            Booking.reference,
            Booking.client_given_name,
        )
        .join(Proposal)
        .join(Booking)
        .where(
            ProposedTime.therapist == therapist_id,
            ProposedTime.starts_at < end,
            ProposedTime.starts_at > starts_after,
            ProposedTime.ends_at > start,
            Proposal.outcome.is_null(),
            Proposal.until > now,
        )
        .order_by(ProposedTime.starts_at)
        .tuples()
    )
)
_TIME_OFF = Statement[TimeOff](
    lambda therapist_id, start, end: (
        TimeOff.select()
        .where(TimeOff.therapist == therapist_id, TimeOff.ends_at > start, TimeOff.starts_at < end)
        .order_by(TimeOff.starts_at)
    )
)
_UNREAD = Statement[Booking](
    lambda therapist_id: with_therapist_and_client(
        (Booking.therapist == therapist_id) & Booking.unread_since.is_null(False)
    ).order_by(Booking.unread_since)
)


class Proposed(NamedTuple):
    """A time of an open proposal; `reference` and `client` are its booking's."""

    starts_at: datetime
    ends_at: datetime
    by: Actor
    reference: str
    client: str


def bookings_between(therapist: Therapist, start: datetime, end: datetime) -> list[Booking]:
    """Enquiries and sessions that touch [start, end), by their start; none that ended early.

    An enquiry may have expired by the clock.
    """
    # Lets the index on starts_at leave out the therapist's past.
    return _BETWEEN.all(therapist.id, start - LONGEST_SESSION, start, end)


def proposed_between(
    therapist: Therapist, start: datetime, end: datetime, now: datetime
) -> list[Proposed]:
    """By their start."""
    rows = _PROPOSED.all(therapist.id, start - LONGEST_SESSION, start, end, now)
    return [Proposed(*row) for row in rows]


def time_off_between(therapist: Therapist, start: datetime, end: datetime) -> list[TimeOff]:
    return _TIME_OFF.all(therapist.id, start, end)


def unread_of(therapist: Therapist) -> list[Booking]:
    """Bookings with messages that the therapist has not opened; the longest unread first."""
    return _UNREAD.all(therapist.id)
