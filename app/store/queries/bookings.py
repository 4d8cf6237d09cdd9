"""Named reads; each is served by an index."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TypeVar

from peewee import JOIN, Expression, Field, Model, ModelSelect

from app.errors import NotFound
from app.rules import ranking
from app.rules.lifecycle import LIVE, Status
from app.store.db.database import is_sqlite
from app.store.models import (
    Booking,
    Client,
    LedgerLine,
    OutboxEmail,
    OutboxStatus,
    Role,
    Therapist,
    TimelineEntry,
    TimeOff,
    Writing,
    email_key,
)

M = TypeVar("M", bound=Model)

REQUESTED = Booking.status == Status.REQUESTED
ACCEPTED = Booking.status == Status.ACCEPTED
LONGEST_SESSION = timedelta(days=1)
"""SESSION_MINUTES allows no longer one."""
LISTED = Therapist.deactivated_at.is_null() & ~Therapist.is_paused & ~Therapist.is_hidden


def locked_therapist(therapist_id: int) -> Therapist:
    """The therapist, whose row is the lock on everything that is theirs until the commit.

    Every writing use case takes it first, so that no two of them can wait for one another.
    """
    query = Therapist.select().where(Therapist.id == therapist_id)
    therapist: Therapist = _locking(query).get()
    return therapist


def locked_therapist_by_slug(slug: str) -> Therapist:
    """As `locked_therapist`. Raises NotFound."""
    therapist: Therapist | None = _locking(Therapist.select().where(Therapist.slug == slug)).first()
    if therapist is None:
        raise NotFound("therapist")
    return therapist


def locked_client(address: str) -> Client | None:
    """The client with that address, for whom nobody else writes until the commit.

    None where there is none, also if they were erased while we waited. Therapists' locks, if any
    are needed, come first.
    """
    client: Client | None = _locking(
        Client.select().where(Client.email_key == email_key(address))
    ).first()
    return client


def _locking(query: "ModelSelect[M]") -> "ModelSelect[M]":
    """The query, holding its rows until the commit; SQLite lets one writer in at a time anyway."""
    if is_sqlite():
        return query
    return query.for_update("FOR NO KEY UPDATE")  # type: ignore[arg-type] # stubs know True only


def lock_therapists(therapist_ids: Iterable[int]) -> None:
    """Lock therapists until the commit, in the order of their ids, which rules out deadlocks."""
    if is_sqlite():
        return  # its write transaction is the lock
    query = Therapist.select(Therapist.id).where(Therapist.id.in_(set(therapist_ids)))
    list(_locking(query.order_by(Therapist.id)))


def lock_therapist_if_free(therapist_id: int) -> bool:
    """Take the therapist's lock; False if somebody else has it."""
    query = Therapist.select(Therapist.id).where(Therapist.id == therapist_id)
    return _skipping_locked(query).first() is not None


def lock_due_bookings(due: Expression, due_at: Field, limit: int) -> list[Booking]:
    """The `limit` most overdue bookings, each locked with its therapist, with therapist and client.

    Leaves out those that somebody else has locked.
    """
    query = Booking.select(Booking.id).join(Therapist).where(due).order_by(due_at).limit(limit)
    ids = [row.id for row in _skipping_locked(query)]
    # Read again: another transaction may have changed them until just before we got the lock.
    return list(with_therapist_and_client(Booking.id.in_(ids)).order_by(due_at)) if ids else []


def _skipping_locked(query: "ModelSelect[M]") -> "ModelSelect[M]":
    if is_sqlite():
        return query
    return query.for_update("FOR NO KEY UPDATE SKIP LOCKED")  # type: ignore[arg-type] # as above


def overdue_since(due: Expression, due_at: Field) -> datetime | None:
    """Since when the most overdue of these bookings has been due; None if there is none."""
    first: Booking | None = Booking.select(due_at).where(due).order_by(due_at).first()
    return getattr(first, due_at.name) if first else None


def therapist_by_slug(slug: str) -> Therapist:
    """Raises NotFound."""
    therapist: Therapist | None = Therapist.get_or_none(Therapist.slug == slug)
    if therapist is None:
        raise NotFound("therapist")
    return therapist


def therapist_by_id(therapist_id: int) -> Therapist:
    """Raises NotFound."""
    therapist: Therapist | None = Therapist.get_or_none(Therapist.id == therapist_id)
    if therapist is None:
        raise NotFound("therapist")
    return therapist


def therapist_by_email(address: str) -> Therapist | None:
    """The therapist with that address, without regard to case."""
    therapist: Therapist | None = Therapist.get_or_none(Therapist.email_key == email_key(address))
    return therapist


def client_by_email(address: str) -> Client | None:
    """The client with that address, without regard to case."""
    client: Client | None = Client.get_or_none(Client.email_key == email_key(address))
    return client


def with_therapist_and_client(condition: Expression) -> "ModelSelect[Booking]":
    """Bookings that fit, each with its therapist and client."""
    return (
        Booking.select(Booking, Therapist, Client)
        .join(Therapist)
        .switch(Booking)
        .join(Client)
        .where(condition)
    )


def booking_by_reference(reference: str) -> Booking:
    """The booking with its therapist and client. Raises NotFound."""
    booking: Booking | None = with_therapist_and_client(
        Booking.reference == reference.strip().upper()
    ).first()
    if booking is None:
        raise NotFound("booking")
    return booking


def booking_by_id(booking_id: int) -> Booking:
    """The booking with its therapist and client. Raises NotFound."""
    booking: Booking | None = with_therapist_and_client(Booking.id == booking_id).first()
    if booking is None:
        raise NotFound("booking")
    return booking


def live_bookings_of_client(client: Client, now: datetime) -> list[Booking]:
    """Requested and accepted bookings that have not ended, soonest first."""
    return list(
        with_therapist_and_client(
            (Booking.client == client) & Booking.status.in_(LIVE) & (Booking.ends_at > now)
        ).order_by(Booking.starts_at)
    )


def enquiries_of(therapist: Therapist, now: datetime) -> list[Booking]:
    """Unanswered, unexpired bookings of one therapist, the most urgent first."""
    return list(
        with_therapist_and_client(
            (Booking.therapist == therapist) & REQUESTED & (Booking.expires_at > now)
        ).order_by(Booking.expires_at)
    )


def upcoming_sessions_of(therapist: Therapist, now: datetime) -> list[Booking]:
    """Accepted sessions of one therapist that have not ended, soonest first."""
    return list(
        with_therapist_and_client(
            (Booking.therapist == therapist) & ACCEPTED & (Booking.ends_at > now)
        ).order_by(Booking.starts_at)
    )


def accepted_between(therapist: Therapist, start: datetime, end: datetime) -> list[Booking]:
    """Accepted sessions of one therapist that touch [start, end), in order."""
    return list(
        with_therapist_and_client(
            (Booking.therapist == therapist)
            & ACCEPTED
            & (Booking.starts_at < end)
            & (Booking.ends_at > start)
        ).order_by(Booking.starts_at)
    )


def holding(start: datetime, end: datetime, now: datetime) -> Expression:
    """Bookings that hold their time at `now` and touch [start, end)."""
    return (
        (ACCEPTED | (REQUESTED & (Booking.expires_at > now)))
        & (Booking.starts_at < end)
        & (Booking.starts_at > start - LONGEST_SESSION)
        & (Booking.ends_at > start)
    )


def held_spans(
    therapist: Therapist, start: datetime, end: datetime, now: datetime
) -> list[tuple[datetime, datetime]]:
    """The [start, end) of every booking that holds its time at `now` and touches [start, end)."""
    rows = (
        Booking.select(Booking.starts_at, Booking.ends_at)
        .where(Booking.therapist == therapist, holding(start, end, now))
        .order_by(Booking.starts_at)
    )
    return [(row.starts_at, row.ends_at) for row in rows]


def time_off_spans(
    therapist: Therapist, start: datetime, end: datetime
) -> list[tuple[datetime, datetime]]:
    """The [start, end) of every time off of one therapist that touches [start, end)."""
    rows = (
        TimeOff.select()
        .where(TimeOff.therapist == therapist, TimeOff.ends_at > start, TimeOff.starts_at < end)
        .order_by(TimeOff.starts_at)
    )
    return [(row.starts_at, row.ends_at) for row in rows]


def times_off_of(therapist: Therapist, now: datetime, limit: int) -> list[TimeOff]:
    """Time off of one therapist that has not ended, the soonest first."""
    mine = TimeOff.select().where(TimeOff.therapist == therapist, TimeOff.ends_at > now)
    return list(mine.order_by(TimeOff.starts_at).limit(limit))


def therapists_listed(now: datetime) -> "ModelSelect[Therapist]":
    """Therapists on Find a Therapist, best first; equals take turns from day to day."""
    product = Therapist.tie_seed * ranking.daily_multiplier(now.date())
    # Spelled out because peewee's % is LIKE; this is ranking.tie_break as the database does it.
    turn = product - product / ranking.TIE_PRIME * ranking.TIE_PRIME
    return (
        Therapist.select()
        .where(LISTED)
        .order_by(Therapist.score.desc(), Therapist.median_answer_s, turn, Therapist.id)
    )


def listed_ids(now: datetime) -> list[int]:
    """The ids of the therapists on Find a Therapist, best first."""
    return [found.id for found in therapists_listed(now).select(Therapist.id)]


def requested_since(therapist: Therapist, since: datetime) -> list[Booking]:
    """The bookings of one therapist that were requested after `since`."""
    return list(
        Booking.select().where(Booking.therapist == therapist, Booking.requested_at > since)
    )


def open_enquiries_of(therapist: Therapist) -> list[Booking]:
    """Every unanswered booking of one therapist, with its therapist and client."""
    return list(with_therapist_and_client((Booking.therapist == therapist) & REQUESTED))


def therapists_due(column: Field, now: datetime, limit: int, besides: list[int]) -> list[Therapist]:
    """Therapists for whom `column` (an instant) has come, longest overdue first, but `besides`."""
    return list(
        Therapist.select(Therapist.id, Therapist.slug, column)
        .where((column <= now) & Therapist.id.not_in(besides))
        .order_by(column)
        .limit(limit)
    )


def overdue_expiry(now: datetime) -> Expression:
    """Enquiries that the clock has ended."""
    return REQUESTED & (Booking.expires_at <= now)


def overdue_completion(now: datetime) -> Expression:
    """Accepted sessions that ended ten minutes ago or earlier."""
    return ACCEPTED & (Booking.completes_at <= now)


def free_consultations_of(client: Client) -> "ModelSelect[Booking]":
    """The ids of therapists with whom a live or used free consultation stands."""
    return Booking.select(Booking.therapist).where(
        Booking.client == client,
        Booking.uses_free_consultation,
    )


def has_overdue_completion(therapist: Therapist, now: datetime) -> bool:
    """Whether a session of the therapist is over that nobody has written down as completed."""
    due = overdue_completion(now) & (Booking.therapist == therapist)
    return bool(Booking.select().where(due).exists())


def replacements_of(booking: Booking) -> list[Booking]:
    """What the client requested from other therapists in its place, oldest first."""
    return list(with_therapist_and_client(Booking.replaces == booking).order_by(Booking.id))


def timeline_of(booking: Booking) -> list[TimelineEntry]:
    """What happened to the booking, in the order in which it took effect."""
    lines = TimelineEntry.select().where(TimelineEntry.booking == booking)
    # Not by `at`: who waits for the therapist's lock has read the clock before.
    return list(lines.order_by(TimelineEntry.id))


def writings_of(booking: Booking) -> list[Writing]:
    """What people wrote on the booking, oldest first."""
    return list(Writing.select().where(Writing.booking == booking).order_by(Writing.id))


def ledger_lines_of(therapist: Therapist, account: str) -> list[LedgerLine]:
    """The lines of one account over all of a therapist's bookings, the newest first."""
    return list(
        LedgerLine.select(LedgerLine, Booking, Client)
        .join(Booking)
        .join(Client)
        .where(Booking.therapist == therapist, LedgerLine.account == account)
        .order_by(LedgerLine.at.desc(), LedgerLine.id.desc())
    )


def newest_bookings(
    *, status: Status | None, therapist: Therapist | None, late_at: datetime | None, limit: int
) -> list[Booking]:
    """Bookings for ops, the newest first; `late_at` asks for enquiries overdue at that instant."""
    fits: Expression = Booking.id > 0
    if status is not None:
        fits &= Booking.status == status
    if therapist is not None:
        fits &= Booking.therapist == therapist
    if late_at is not None:
        fits &= REQUESTED & (Booking.answer_by < late_at) & (Booking.expires_at > late_at)
    return list(with_therapist_and_client(fits).order_by(Booking.id.desc()).limit(limit))


def every_therapist() -> list[Therapist]:
    """All therapists, in whatever state, by slug."""
    return list(Therapist.select().order_by(Therapist.slug))


def newest_emails(status: OutboxStatus | None, limit: int) -> list[OutboxEmail]:
    """The outbox for ops, the newest first."""
    emails = OutboxEmail.select().order_by(OutboxEmail.id.desc()).limit(limit)
    return list(emails if status is None else emails.where(OutboxEmail.status == status))


def failed_emails_to(therapist: Therapist) -> list[OutboxEmail]:
    """Emails to one therapist that could not be handed over, the oldest first."""
    mine = (Booking.therapist == therapist) | (OutboxEmail.therapist == therapist)
    failed = (OutboxEmail.role == Role.THERAPIST) & (OutboxEmail.status == OutboxStatus.FAILED)
    found = OutboxEmail.select().join(Booking, JOIN.LEFT_OUTER).where(mine, failed)
    return list(found.order_by(OutboxEmail.id))


def email_by_id(email_id: int) -> OutboxEmail:
    """Raises NotFound."""
    email: OutboxEmail | None = OutboxEmail.get_or_none(OutboxEmail.id == email_id)
    if email is None:
        raise NotFound("email")
    return email
