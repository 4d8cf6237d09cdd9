"""One therapist's bookings: enquiries, sessions, held time, pages of the dashboard."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from typing import Any, NamedTuple

from peewee import JOIN, SQL, Expression, fn

from app.rules.lifecycle import Kind, Status
from app.rules.search_key import search_key
from app.store.db.statements import Statement
from app.store.models import (
    Booking,
    ManageVisit,
    PendingRequest,
    Proposal,
    ProposedTime,
    Therapist,
    TimelineEntry,
    TimeOff,
)
from app.store.queries.batches import in_batches
from app.store.queries.bookings import (
    ACCEPTED,
    LONGEST_SESSION,
    REQUESTED,
    from_public_form,
    holding,
    lapsed_proposal,
    overdue_completion,
    overdue_expiry,
    with_therapist_and_client,
)
from app.store.queries.pending import pending_holding
from app.store.queries.proposals import NO_BOOKING, proposed_holding


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


def sessions_with_proposals(therapist: Therapist) -> list[Booking]:
    is_theirs = (Booking.therapist == therapist) & ACCEPTED
    return list(with_therapist_and_client(is_theirs & Booking.proposed_until.is_null(False)))


_ACCEPTED_BETWEEN = Statement[Booking](
    lambda therapist_id, starts_after, start, end: with_therapist_and_client(
        (Booking.therapist == therapist_id)
        & ACCEPTED
        & (Booking.starts_at < end)
        & (Booking.starts_at > starts_after)
        & (Booking.ends_at > start)
    ).order_by(Booking.starts_at)
)


def accepted_between(therapist: Therapist, start: datetime, end: datetime) -> list[Booking]:
    # Lets the index on starts_at leave out the therapist's past.
    starts_after = start - LONGEST_SESSION
    return _ACCEPTED_BETWEEN.all(therapist.id, starts_after, start, end)


Span = tuple[datetime, datetime]


class Taken(NamedTuple):
    """What touches a span of a therapist's time: held by bookings and requests, and time off."""

    held: list[Span]
    time_off: list[Span]


def _taken(
    therapist: Any, start: Any, earliest: Any, end: Any, now: Any, except_booking: Any
) -> Any:
    booked = Booking.select(SQL("1"), Booking.starts_at, Booking.ends_at).where(
        Booking.therapist == therapist,
        Booking.id != except_booking,
        holding(start, end, now, earliest),
    )
    pending = PendingRequest.select(
        SQL("1"), PendingRequest.starts_at, PendingRequest.ends_at
    ).where(PendingRequest.therapist == therapist, pending_holding(start, end, now))
    off = TimeOff.select(SQL("0"), TimeOff.starts_at, TimeOff.ends_at).where(
        TimeOff.therapist == therapist, TimeOff.ends_at > start, TimeOff.starts_at < end
    )
    proposed = (
        ProposedTime.select(SQL("1"), ProposedTime.starts_at, ProposedTime.ends_at)
        .join(Proposal)
        .where(
            ProposedTime.therapist == therapist,
            proposed_holding(start, end, now, except_booking),
        )
    )
    return booked.union_all(pending).union_all(proposed).union_all(off).tuples()


_TAKEN = Statement[tuple[int, datetime, datetime]](_taken)


def taken_spans(
    therapist: Therapist,
    start: datetime,
    end: datetime,
    now: datetime,
    except_booking: int = NO_BOOKING,
) -> Taken:
    """At `now`, as far as it touches [start, end); without what one booking holds."""
    earliest = start - LONGEST_SESSION
    rows = sorted(_TAKEN.all(therapist.id, start, earliest, end, now, except_booking))
    held, time_off = ([row[1:] for row in rows if row[0] == is_held] for is_held in (1, 0))
    return Taken(held, time_off)


def _overdue(therapist: Any, now: Any) -> Any:
    # Four, because SQLite would use no partial index for a condition with OR.
    theirs = Booking.select(Booking.id).where(Booking.therapist == therapist)
    held = PendingRequest.select(PendingRequest.id).where(
        PendingRequest.therapist == therapist, PendingRequest.held_until <= now
    )
    conditions = (overdue_expiry, overdue_completion, lapsed_proposal)
    expired, completed, lapsed = (theirs.where(each(now)) for each in conditions)
    return expired.union_all(completed).union_all(lapsed).union_all(held).tuples()


_OVERDUE = Statement[tuple[int]](_overdue)


def has_overdue(therapist: Therapist, now: datetime) -> bool:
    """Whether a move is due by the clock, or a request or proposal held its time until now."""
    return bool(_OVERDUE.all(therapist.id, now))


# What a score is made of; a busy therapist has thousands.
_REQUESTED_SINCE = Statement[Booking](
    lambda therapist, since: Booking.select(
        Booking.id,
        Booking.status,
        Booking.requested_at,
        Booking.expires_at,
        Booking.handed_over_at,
        Booking.answered_at,
        Booking.ended_at,
        Booking.ended_by_deactivation,
        Booking.suggested_at,
        Booking.asked_at,
        Booking.earlier_delay_us,
    ).where(Booking.therapist == therapist, Booking.requested_at > since)
)
_NEVER_VISITED_SINCE = Statement[tuple[int]](
    lambda therapist, since: (
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
        .tuples()
    )
)


def requested_since(therapist: Therapist, since: datetime) -> list[Booking]:
    """With the columns alone that their therapist's score is made of."""
    return _REQUESTED_SINCE.all(therapist.id, since)


def never_visited_since(therapist: Therapist, since: datetime) -> set[int]:
    """Ids of unanswered public enquiries whose clients never used Manage Booking."""
    return {booking_id for (booking_id,) in _NEVER_VISITED_SINCE.all(therapist.id, since)}


def has_overdue_completion(therapist: Therapist, now: datetime) -> bool:
    due = overdue_completion(now) & (Booking.therapist == therapist)
    return bool(Booking.select().where(due).exists())


_BY_IDS = Statement[Booking](lambda ids: with_therapist_and_client(Booking.id.in_(ids)))


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


@dataclass(frozen=True, slots=True)
class Search:
    """Bookings that start in [since, until), of whose client and reference all `words` are part."""

    words: str = ""
    since: datetime | None = None
    until: datetime | None = None

    @property
    def is_empty(self) -> bool:
        return self == Search()

    def among(self, rows: Iterable[tuple[int, str, str, str]]) -> list[int]:
        """The ids of those found, of rows (id, reference, client's name, given name)."""
        # Not by the database: SQLite and PostgreSQL fold accents and cases differently.
        words, folded = search_key(self.words).split(), cache(search_key)
        return [
            number
            for number, reference, name, given_name in rows
            if all(
                any(word in folded(text) for text in (name, given_name, reference))
                for word in words
            )
        ]


_ALWAYS = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_ROWS_BY_IDS = Statement[Booking](lambda ids: Booking.select().where(Booking.id.in_(ids)))


class _Listing:
    """A therapist's bookings under a condition, in an order."""

    def __init__(self, condition: Callable[[Any, Any], Expression], order: Any) -> None:
        def under(therapist: Any, now: Any, earliest: Any) -> Expression:
            found: Expression = (Booking.therapist == therapist) & condition(now, earliest)
            return found

        self._count = Statement[tuple[int]](
            lambda *given: Booking.select(fn.COUNT(SQL("*"))).where(under(*given)).tuples()
        )
        self._rows = Statement[Booking](
            lambda limit, offset, *given: (
                with_therapist_and_client(under(*given))
                .order_by(order, Booking.id)
                .limit(limit)
                .offset(offset)
            )
        )
        self._searched = Statement[tuple[int, str, str, str]](
            lambda since, until, *given: (
                Booking.select(
                    Booking.id, Booking.reference, Booking.client_name, Booking.client_given_name
                )
                .where(under(*given), Booking.starts_at >= since, Booking.starts_at < until)
                .order_by(order, Booking.id)
                .tuples()
            )
        )

    def page(self, therapist: Therapist, now: datetime, number: int, size: int) -> Page:
        given, total = (therapist.id, now, now - LONGEST_SESSION), self.count(therapist, now)
        number = min(max(number, 1), max(1, -(-total // size)))
        return Page(number, size, self._rows.all(size, (number - 1) * size, *given), total)

    def found(
        self, therapist: Therapist, search: Search, now: datetime, number: int, size: int
    ) -> Page:
        """A page of what a search finds."""
        ids = self._ids(therapist, search, now)
        number = min(max(number, 1), max(1, -(-len(ids) // size)))
        shown = ids[(number - 1) * size : number * size]
        by_id = {row.id: row for row in _BY_IDS.all(shown)} if shown else {}
        return Page(number, size, [by_id[each] for each in shown], len(ids))

    def count(self, therapist: Therapist, now: datetime) -> int:
        ((total,),) = self._count.all(therapist.id, now, now - LONGEST_SESSION)
        return total

    def each(self, therapist: Therapist, search: Search, now: datetime) -> Iterator[Booking]:
        return in_batches(_ROWS_BY_IDS, self._ids(therapist, search, now))

    def _ids(self, therapist: Therapist, search: Search, now: datetime) -> list[int]:
        given = (therapist.id, now, now - LONGEST_SESSION)
        span = search.since or _ALWAYS[0], search.until or _ALWAYS[1]
        return search.among(self._searched.each(*span, *given))


def _is_upcoming(now: Any, earliest: Any) -> Expression:
    # The start lets the index leave out a therapist's past.
    upcoming: Expression = ACCEPTED & (Booking.ends_at > now) & (Booking.starts_at > earliest)
    return upcoming


# By the clock, whether or not a job has stored the completion.
_CONDITIONS: dict[View, Callable[[Any, Any], Expression]] = {
    View.ALL: lambda now, earliest: Booking.id > 0,  # noqa: ARG005 - one signature
    View.UPCOMING: _is_upcoming,
    View.PAST: lambda now, earliest: (  # noqa: ARG005
        Booking.status.in_(_TOOK_PLACE) | (ACCEPTED & (Booking.ends_at <= now))
    ),
    View.COMPLETED: lambda now, earliest: (  # noqa: ARG005
        (Booking.status == Status.COMPLETED) | overdue_completion(now)
    ),
    View.CANCELLED: lambda now, earliest: Booking.status.in_(_CANCELLED),  # noqa: ARG005
    View.ENQUIRIES: lambda now, earliest: Booking.status.in_(_NEVER_ACCEPTED),  # noqa: ARG005
}
_OPEN_ENQUIRIES = _Listing(
    lambda now, earliest: REQUESTED & (Booking.expires_at > now),  # noqa: ARG005
    Booking.expires_at,
)
_UPCOMING = _Listing(_is_upcoming, Booking.starts_at)


@cache
def _in_view(view: View, kind: Kind | None) -> _Listing:
    def condition(now: Any, earliest: Any) -> Expression:
        found = _CONDITIONS[view](now, earliest)
        return found if kind is None else found & (Booking.kind == kind)

    return _Listing(
        condition, Booking.starts_at if view is View.UPCOMING else Booking.starts_at.desc()
    )


def enquiries_page(therapist: Therapist, now: datetime, number: int, size: int) -> Page:
    return _OPEN_ENQUIRIES.page(therapist, now, number, size)


def enquiries_count(therapist: Therapist, now: datetime) -> int:
    return _OPEN_ENQUIRIES.count(therapist, now)


def upcoming_count(therapist: Therapist, now: datetime) -> int:
    return _UPCOMING.count(therapist, now)


def upcoming_page(therapist: Therapist, now: datetime, number: int, size: int) -> Page:
    return _UPCOMING.page(therapist, now, number, size)


def view_page(
    therapist: Therapist,
    view: View,
    kind: Kind | None,
    search: Search,
    now: datetime,
    *,
    number: int,
    size: int,
) -> Page:
    listing = _in_view(view, kind)
    if search.is_empty:
        return listing.page(therapist, now, number, size)
    return listing.found(therapist, search, now, number, size)


def each_in_view(
    therapist: Therapist, view: View, kind: Kind | None, search: Search, now: datetime
) -> Iterator[Booking]:
    """Without therapist and client; read in batches."""
    return _in_view(view, kind).each(therapist, search, now)
