"""One therapist's bookings: enquiries, sessions, held time, pages of the dashboard, earnings."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import cast

from peewee import JOIN, Expression

from app.rules.cancellation import Account
from app.rules.lifecycle import Kind, Status
from app.store.models import (
    Booking,
    Client,
    LedgerLine,
    ManageVisit,
    PendingRequest,
    Therapist,
    TimelineEntry,
)
from app.store.queries.bookings import (
    ACCEPTED,
    REQUESTED,
    from_public_form,
    holding,
    overdue_completion,
    with_therapist_and_client,
)
from app.store.queries.pending import pending_holding


def _enquiries(therapist: Therapist, now: datetime) -> Expression:
    return (Booking.therapist == therapist) & REQUESTED & (Booking.expires_at > now)


def _upcoming_sessions(therapist: Therapist, now: datetime) -> Expression:
    return (Booking.therapist == therapist) & ACCEPTED & (Booking.ends_at > now)


def enquiries_of(therapist: Therapist, now: datetime) -> list[Booking]:
    """The most urgent first."""
    enquiries = with_therapist_and_client(_enquiries(therapist, now))
    return list(enquiries.order_by(Booking.expires_at))


def open_enquiries_of(therapist: Therapist) -> list[Booking]:
    return list(with_therapist_and_client((Booking.therapist == therapist) & REQUESTED))


def upcoming_sessions_of(therapist: Therapist, now: datetime) -> list[Booking]:
    sessions = with_therapist_and_client(_upcoming_sessions(therapist, now))
    return list(sessions.order_by(Booking.starts_at))


def accepted_between(therapist: Therapist, start: datetime, end: datetime) -> list[Booking]:
    return list(
        with_therapist_and_client(
            (Booking.therapist == therapist)
            & ACCEPTED
            & (Booking.starts_at < end)
            & (Booking.ends_at > start)
        ).order_by(Booking.starts_at)
    )


def held_spans(
    therapist: Therapist, start: datetime, end: datetime, now: datetime
) -> list[tuple[datetime, datetime]]:
    """What bookings and pending requests hold at `now` and touches [start, end)."""
    booked = Booking.select(Booking.starts_at, Booking.ends_at).where(
        Booking.therapist == therapist, holding(start, end, now)
    )
    pending = PendingRequest.select(PendingRequest.starts_at, PendingRequest.ends_at).where(
        PendingRequest.therapist == therapist, pending_holding(start, end, now)
    )
    return sorted((row.starts_at, row.ends_at) for row in booked.union_all(pending))


def requested_since(therapist: Therapist, since: datetime) -> list[Booking]:
    return list(
        Booking.select().where(Booking.therapist == therapist, Booking.requested_at > since)
    )


def never_visited_since(therapist: Therapist, since: datetime) -> set[int]:
    """Ids of unanswered public enquiries whose clients never used Manage Booking."""
    rows = (
        Booking.select(Booking.id)
        .join(TimelineEntry)
        .switch(Booking)
        .join(ManageVisit, JOIN.LEFT_OUTER)
        .where(
            Booking.therapist == therapist,
            Booking.requested_at > since,
            Booking.status.in_([Status.REQUESTED, Status.EXPIRED]),
            from_public_form(),
            ManageVisit.id.is_null(),
        )
    )
    return {row.id for row in rows}


def has_overdue_completion(therapist: Therapist, now: datetime) -> bool:
    due = overdue_completion(now) & (Booking.therapist == therapist)
    return bool(Booking.select().where(due).exists())


class View(StrEnum):
    ALL = "all"
    UPCOMING = "upcoming"
    PAST = "past"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    ENQUIRIES = "enquiries"


_NEVER_ACCEPTED = (Status.REQUESTED, Status.DECLINED, Status.WITHDRAWN, Status.EXPIRED)
_TOOK_PLACE = (Status.COMPLETED, Status.NO_SHOW)
_CANCELLED = (Status.CANCELLED_BY_CLIENT, Status.CANCELLED_BY_THERAPIST)

# By the clock, whether or not a job has stored the completion.
_CONDITIONS: dict[View, Callable[[datetime], Expression]] = {
    View.UPCOMING: lambda now: ACCEPTED & (Booking.ends_at > now),
    View.PAST: lambda now: Booking.status.in_(_TOOK_PLACE) | (ACCEPTED & (Booking.ends_at <= now)),
    View.COMPLETED: lambda now: (Booking.status == Status.COMPLETED) | overdue_completion(now),
    View.CANCELLED: lambda now: Booking.status.in_(_CANCELLED),  # noqa: ARG005 - one signature
    View.ENQUIRIES: lambda now: Booking.status.in_(_NEVER_ACCEPTED),  # noqa: ARG005
}


@dataclass(frozen=True, slots=True)
class Page:
    """One page of bookings; `number` counts from 1, `total` is the number of rows on all pages."""

    number: int
    size: int
    rows: list[Booking]
    total: int

    @property
    def last(self) -> int:
        return max(1, -(-self.total // self.size))


def enquiries_page(therapist: Therapist, now: datetime, number: int, size: int) -> Page:
    return _page(_enquiries(therapist, now), Booking.expires_at, number, size)


def upcoming_page(therapist: Therapist, now: datetime, number: int, size: int) -> Page:
    return _page(_upcoming_sessions(therapist, now), Booking.starts_at, number, size)


def view_page(
    therapist: Therapist, view: View, kind: Kind | None, now: datetime, *, number: int, size: int
) -> Page:
    return _page(_in_view(therapist, view, kind, now), _order(view), number, size)


def all_in_view(
    therapist: Therapist, view: View, kind: Kind | None, now: datetime
) -> list[Booking]:
    bookings = with_therapist_and_client(_in_view(therapist, view, kind, now))
    return list(bookings.order_by(_order(view), Booking.id))


def _page(condition: Expression, order: object, number: int, size: int) -> Page:
    total = int(Booking.select().where(condition).count())
    number = min(max(number, 1), max(1, -(-total // size)))
    rows = with_therapist_and_client(condition).order_by(order, Booking.id).paginate(number, size)
    return Page(number, size, list(rows), total)


def _in_view(therapist: Therapist, view: View, kind: Kind | None, now: datetime) -> Expression:
    condition: Expression = Booking.therapist == therapist
    if view in _CONDITIONS:
        condition &= _CONDITIONS[view](now)
    if kind is not None:
        condition &= Booking.kind == kind
    return condition


def _order(view: View) -> object:
    return Booking.starts_at if view is View.UPCOMING else Booking.starts_at.desc()


def payouts(therapist: Therapist) -> list[tuple[datetime, int, int, str]]:
    """(earned at, payout, fee, currency) of each payout ever, newest first."""
    rows = (
        LedgerLine.select(
            LedgerLine.at, LedgerLine.amount_minor, Booking.fee_minor, LedgerLine.currency
        )
        .join(Booking)
        .where(Booking.therapist == therapist, LedgerLine.account == Account.THERAPIST)
        .order_by(LedgerLine.at.desc())
    )
    return cast("list[tuple[datetime, int, int, str]]", list(rows.tuples()))


def payout_lines(
    therapist: Therapist, start: datetime | None = None, end: datetime | None = None
) -> list[LedgerLine]:
    """Ledger lines of payouts in [start, end), each with booking and client, newest first."""
    condition = (Booking.therapist == therapist) & (LedgerLine.account == Account.THERAPIST)
    if start is not None:
        condition &= LedgerLine.at >= start
    if end is not None:
        condition &= LedgerLine.at < end
    return list(
        LedgerLine.select(LedgerLine, Booking, Client)
        .join(Booking)
        .join(Client)
        .where(condition)
        .order_by(LedgerLine.at.desc(), LedgerLine.id.desc())
    )
