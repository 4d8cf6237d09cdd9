"""Named reads of a therapist's practice: sessions by what became of them, and earnings."""

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum
from typing import cast

from peewee import Expression

from app.rules.cancellation import Account
from app.rules.lifecycle import Kind, Status
from app.store import queries
from app.store.models import Booking, Client, LedgerLine, Therapist
from app.store.queries import ACCEPTED, paging
from app.store.queries.paging import Page


class View(StrEnum):
    """Which of a therapist's bookings are wanted."""

    ALL = "all"
    UPCOMING = "upcoming"
    PAST = "past"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    ENQUIRIES = "enquiries"


_NEVER_ACCEPTED = (Status.REQUESTED, Status.DECLINED, Status.WITHDRAWN, Status.EXPIRED)
_HELD = (Status.COMPLETED, Status.NO_SHOW)
_CANCELLED = (Status.CANCELLED_BY_CLIENT, Status.CANCELLED_BY_THERAPIST)

# By the clock, whether or not a job has written a completion down.
_FITS: dict[View, Callable[[datetime], Expression]] = {
    View.UPCOMING: lambda now: ACCEPTED & (Booking.ends_at > now),
    View.PAST: lambda now: Booking.status.in_(_HELD) | (ACCEPTED & (Booking.ends_at <= now)),
    View.COMPLETED: lambda now: (
        (Booking.status == Status.COMPLETED) | (ACCEPTED & (Booking.completes_at <= now))
    ),
    View.CANCELLED: lambda now: Booking.status.in_(_CANCELLED),  # noqa: ARG005 - one signature
    View.ENQUIRIES: lambda now: Booking.status.in_(_NEVER_ACCEPTED),  # noqa: ARG005
}


def page(
    therapist: Therapist, view: View, kind: Kind | None, now: datetime, *, number: int, size: int
) -> Page:
    """One page of a therapist's bookings: upcoming ones soonest first, others newest first."""
    return paging.of(_mine(therapist, view, kind, now), _order(view), number, size)


def everything(therapist: Therapist, view: View, kind: Kind | None, now: datetime) -> list[Booking]:
    """All of a therapist's bookings that fit, in the order of their pages."""
    mine = queries.with_therapist_and_client(_mine(therapist, view, kind, now))
    return list(mine.order_by(_order(view), Booking.id))


def _mine(therapist: Therapist, view: View, kind: Kind | None, now: datetime) -> Expression:
    mine: Expression = Booking.therapist == therapist
    if view in _FITS:
        mine &= _FITS[view](now)
    if kind is not None:
        mine &= Booking.kind == kind
    return mine


def _order(view: View) -> object:
    return Booking.starts_at if view is View.UPCOMING else Booking.starts_at.desc()


def payouts(therapist: Therapist) -> list[tuple[datetime, int, int, str]]:
    """(earned at, payout, fee, currency) of all that a therapist ever earned, newest first."""
    rows = (
        LedgerLine.select(
            LedgerLine.at, LedgerLine.amount_minor, Booking.fee_minor, LedgerLine.currency
        )
        .join(Booking)
        .where(Booking.therapist == therapist, LedgerLine.account == Account.THERAPIST)
        .order_by(LedgerLine.at.desc())
    )
    return cast("list[tuple[datetime, int, int, str]]", list(rows.tuples()))


def payout_lines(therapist: Therapist, start: datetime, end: datetime) -> list[LedgerLine]:
    """What a therapist earned in [start, end), each with booking and client, newest first."""
    return list(
        LedgerLine.select(LedgerLine, Booking, Client)
        .join(Booking)
        .join(Client)
        .where(
            Booking.therapist == therapist,
            LedgerLine.account == Account.THERAPIST,
            LedgerLine.at >= start,
            LedgerLine.at < end,
        )
        .order_by(LedgerLine.at.desc(), LedgerLine.id.desc())
    )
