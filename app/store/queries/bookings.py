"""Bookings: finding one, conditions on many, what belongs to one, which are due."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from peewee import SQL, Expression, ModelSelect, Value, fn

from app.errors import NotFound
from app.rules.availability import Span
from app.rules.lifecycle import Actor, Status, Via
from app.store.db.statements import Statement
from app.store.models import (
    Booking,
    Client,
    ManageVisit,
    Purpose,
    Therapist,
    TimelineEntry,
    Writing,
)
from app.store.models.fields import InstantField
from app.store.queries.emails import read_together
from app.store.queries.locking import locking

# Word for word as in the partial indexes: SQLite does not use them with bound values.
REQUESTED = Booking.status == SQL(f"'{Status.REQUESTED}'")
ACCEPTED = Booking.status == SQL(f"'{Status.ACCEPTED}'")
# The upper bound of SESSION_MINUTES.
LONGEST_SESSION = timedelta(days=1)


def with_therapist_and_client(condition: Expression) -> "ModelSelect[Booking]":
    return (
        Booking.select(Booking, Therapist, Client)
        .join(Therapist)
        .switch(Booking)
        .join(Client)
        .where(condition)
    )


_BY_REFERENCE = Statement[Booking](
    lambda reference: with_therapist_and_client(Booking.reference == reference)
)
_BY_ID = Statement[Booking](lambda wanted: with_therapist_and_client(Booking.id == wanted))


def booking_by_reference(reference: str) -> Booking:
    """Raises NotFound."""
    booking = _BY_REFERENCE.first(reference.strip().upper())
    if booking is None:
        raise NotFound("booking")
    return booking


def bookings_of_references(references: Sequence[str]) -> list[Booking]:
    """Soonest first."""
    if not references:
        return []
    found = with_therapist_and_client(Booking.reference.in_(list(references)))
    return list(found.order_by(Booking.starts_at))


def booking_by_id(booking_id: int) -> Booking:
    """Raises NotFound."""
    booking = _BY_ID.first(booking_id)
    if booking is None:
        raise NotFound("booking")
    return booking


# Instants may be parameters of a Statement.
def holding(start: Any, end: Any, now: Any, earliest: Any = None) -> Expression:
    """`earliest` is LONGEST_SESSION before `start`."""
    condition: Expression = (
        (ACCEPTED | (REQUESTED & (Booking.expires_at > now)))
        & (Booking.starts_at < end)
        # Lets the index on starts_at leave out a therapist's past.
        & (Booking.starts_at > (earliest or start - LONGEST_SESSION))
        & (Booking.ends_at > start)
    )
    return condition


def overdue_expiry(now: Any) -> Expression:
    condition: Expression = REQUESTED & (Booking.expires_at <= now)
    return condition


def lapsed_proposal(now: Any) -> Expression:
    condition: Expression = ACCEPTED & (Booking.proposed_until <= now)
    return condition


def overdue_completion(now: Any) -> Expression:
    condition: Expression = ACCEPTED & (Booking.completes_at <= now)
    return condition


def open_public_enquiries(therapist: Therapist, client: Client, now: datetime) -> list[Booking]:
    """Those from the public form that are open at this therapist, or of this client."""
    theirs = (Booking.therapist == therapist) | (Booking.client == client)
    is_open = REQUESTED & (Booking.expires_at > now)
    found = Booking.select().join(TimelineEntry)
    return list(found.where(theirs, is_open, from_public_form()))


def from_public_form() -> Expression:
    """A condition on the timeline."""
    condition: Expression = (TimelineEntry.event == "requested") & (TimelineEntry.via == Via.PAGE)
    return condition


def is_first_visit(booking: Booking) -> bool:
    """Of a client who pressed a button of Manage Booking or Choose Someone Else."""
    visited = ManageVisit.select().where(ManageVisit.booking == booking)
    public = TimelineEntry.select().where(TimelineEntry.booking == booking, from_public_form())
    return bool(public.where(~fn.EXISTS(visited)).exists())


class DueBookings:
    """Bookings for which a step is due, the most overdue by the column `due_at` first.

    `condition` gets placeholders for the values that each method gets; `left` are ids to leave out.
    """

    def __init__(self, due_at: "InstantField[Any]", condition: Callable[..., Expression]) -> None:
        def under(left: Any, given: Sequence[Any]) -> Expression:
            due: Expression = condition(*given) & Booking.id.not_in(left)
            return due

        self._since = Statement[tuple[datetime]](
            lambda left, *given: (
                Booking.select(due_at).where(under(left, given)).order_by(due_at).limit(1).tuples()
            )
        )
        self._count = Statement[tuple[int]](
            lambda left, *given: (
                Booking.select(fn.COUNT(Booking.id)).where(under(left, given)).tuples()
            )
        )
        self._locked_ids = Statement[Booking](
            lambda limit, left, *given: locking(
                Booking.select(Booking.id)
                .join(Therapist)
                .where(under(left, given))
                .order_by(due_at)
                .limit(limit),
                skip_locked=True,
            )
        )
        self._of_ids = Statement[Booking](
            lambda ids: with_therapist_and_client(Booking.id.in_(ids)).order_by(due_at)
        )

    def since(self, left: list[int], *given: Any) -> datetime | None:
        """Since when the most overdue one has been due; None if there is none."""
        first = self._since.first(left, *given)
        return first[0] if first else None

    def count(self, left: list[int], *given: Any) -> int:
        found = self._count.first(left, *given)
        return found[0] if found else 0

    def locked(self, limit: int, left: list[int], *given: Any) -> list[Booking]:
        """Each locked with its therapist; without those that somebody else has locked."""
        ids = [row.id for row in self._locked_ids.all(limit, left, *given)]
        # Read again: another transaction may have changed them until just before we got the lock.
        return self._of_ids.all(ids) if ids else []


def replacements_of(booking: Booking) -> list[Booking]:
    return list(with_therapist_and_client(Booking.replaces == booking).order_by(Booking.id))


def timeline_of(booking: Booking) -> list[TimelineEntry]:
    entries = TimelineEntry.select().where(TimelineEntry.booking == booking)
    # Not by `at`: a transaction that waited for the therapist's lock read the clock before.
    return list(entries.order_by(TimelineEntry.id))


def next_ordinal(booking: Booking, event: str) -> int:
    """The ordinal of the next line of an event that can happen again."""
    lines = TimelineEntry.select(fn.MAX(TimelineEntry.ordinal))
    return (
        lines.where(TimelineEntry.booking == booking, TimelineEntry.event == event).scalar() or 0
    ) + 1


def facts_of_request(booking: Booking) -> dict[str, Any]:
    """What was recorded when it was requested."""
    if booking.read_ahead is not None:
        return dict(booking.read_ahead.request_facts)
    entries = TimelineEntry.select(TimelineEntry.facts).where(TimelineEntry.booking == booking)
    first = entries.order_by(TimelineEntry.id).first()
    return first.facts if first else {}


def writings_of(booking: Booking, *purposes: Purpose) -> list[Writing]:
    """What was written for these purposes, decrypted, in the order of writing."""
    rows = Writing.select().where(Writing.booking == booking, Writing.purpose.in_(purposes))
    return list(rows.order_by(Writing.id))


def written_counts(booking: Booking) -> dict[Purpose, int]:
    """How much was written for each purpose; nothing is decrypted."""
    rows = (
        Writing.select(Writing.purpose, fn.COUNT(Writing.id).alias("count"))
        .where(Writing.booking == booking)
        .group_by(Writing.purpose)
    )
    return dict(cast("list[tuple[Purpose, int]]", list(rows.tuples())))


def last_written_at(booking: Booking, purpose: Purpose, author: Actor) -> datetime | None:
    rows = Writing.select(Writing.created_at).where(
        Writing.booking == booking, Writing.purpose == purpose, Writing.author == author
    )
    last = rows.order_by(Writing.id.desc()).first()
    return last.created_at if last else None


_Given = Booking.alias()
# A day on which clocks go back. In microseconds, as instants are stored.
_LONGEST_LOCAL_DAY = Value(timedelta(hours=25) // timedelta(microseconds=1), converter=False)
_ACCEPTED_NEARBY = Statement[tuple[int, datetime, datetime]](
    lambda ids: (
        Booking.select(_Given.id, Booking.starts_at, Booking.ends_at)
        .join(_Given, on=(Booking.therapist == _Given.therapist))
        .where(
            _Given.id.in_(ids),
            Booking.id != _Given.id,
            ACCEPTED,
            Booking.starts_at > _Given.starts_at - _LONGEST_LOCAL_DAY,
            Booking.starts_at < _Given.starts_at + _LONGEST_LOCAL_DAY,
        )
        .tuples()
    )
)


def accepted_nearby(booking: Booking) -> list[Span]:
    """The therapist's other accepted sessions that start less than 25 hours from this one."""
    found: dict[int, list[Span]] = read_together(booking, "accepted_nearby", _accepted_nearby)
    return found.get(booking.id, [])


def _accepted_nearby(booking_ids: Sequence[int]) -> dict[int, list[Span]]:
    found: dict[int, list[Span]] = {}
    for booking_id, starts_at, ends_at in _ACCEPTED_NEARBY.all(list(booking_ids)):
        found.setdefault(booking_id, []).append((starts_at, ends_at))
    return found
