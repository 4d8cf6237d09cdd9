"""A therapist's bookings, a page at a time."""

from dataclasses import dataclass
from datetime import datetime

from peewee import Expression

from app.store.models import Booking, Therapist
from app.store.queries import ACCEPTED, REQUESTED, with_therapist_and_client


@dataclass(frozen=True, slots=True)
class Page:
    """One page of bookings: its number from 1, its rows, and how many rows there are in all."""

    number: int
    size: int
    rows: list[Booking]
    total: int

    @property
    def last(self) -> int:
        """The number of the last page; 1 where nothing is there."""
        return max(1, -(-self.total // self.size))


def enquiries(therapist: Therapist, now: datetime, number: int, size: int) -> Page:
    """Unanswered, unexpired bookings of one therapist, the most urgent first."""
    mine = (Booking.therapist == therapist) & REQUESTED & (Booking.expires_at > now)
    return of(mine, Booking.expires_at, number, size)


def upcoming(therapist: Therapist, now: datetime, number: int, size: int) -> Page:
    """Accepted sessions of one therapist that have not ended, soonest first."""
    mine = (Booking.therapist == therapist) & ACCEPTED & (Booking.ends_at > now)
    return of(mine, Booking.starts_at, number, size)


def of(mine: Expression, order: object, number: int, size: int) -> Page:
    """One page of the bookings that fit; `number` is brought within what there is."""
    total = int(Booking.select().where(mine).count())
    number = min(max(number, 1), max(1, -(-total // size)))
    rows = with_therapist_and_client(mine).order_by(order, Booking.id).paginate(number, size)
    return Page(number, size, list(rows), total)
