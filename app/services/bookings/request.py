"""Asking for a session: every rule of a request, and the rows that follow from it."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from peewee import IntegrityError

from app import config
from app.errors import (
    FieldError,
    FreeConsultationUsed,
    InvalidFields,
    SlotTaken,
    TherapistUnavailable,
)
from app.rules import acceptance, availability, cancellation
from app.rules.availability import NotOpen
from app.rules.lifecycle import Actor, Kind, Status, Via
from app.rules.policy import Policy
from app.services import availability as calendar
from app.services.bookings import ledger, log, moves, transitions
from app.services.therapists import ranking
from app.store import outbox, queries
from app.store.db.database import in_transaction
from app.store.db.errors import Key, violated
from app.store.models import Booking, Client, Purpose, Role, Therapist, Writing

# No 0/O, 1/I/L or U: a reference is read aloud and typed from a screen.
_ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks for; the values have been through intake. `starts_at` is aware UTC.

    `instead_of` is the reference of the booking that this one replaces, if any.
    """

    therapist: str
    name: str
    email: str
    timezone: str
    starts_at: datetime
    kind: Kind
    note: str = ""
    instead_of: str = ""


def request(asked: Request, *, via: Via, now: datetime) -> Booking:
    """Ask for a session; the enquiry holds its time until it ends.

    Raises NotFound, InvalidFields, TherapistUnavailable, FreeConsultationUsed or SlotTaken, in
    that order, with nothing written.
    """
    try:
        return _request(asked, via=via, now=now)
    except IntegrityError as error:
        # The unique keys have the last word where two requests passed the same check at once.
        raise _named(error) from error


@in_transaction
def _request(asked: Request, *, via: Via, now: datetime) -> Booking:
    therapist_id = queries.therapist_by_slug(asked.therapist).id
    queries.locked_therapist(therapist_id)
    moves.catch_up_therapist(therapist_id, via=via, now=now)
    # Read only now: what the clock has done may have been the end of the account.
    therapist = queries.therapist_by_id(therapist_id)
    policy = config.current().policy
    minutes = calendar.length_minutes(asked.kind, policy)
    is_taken = _check(therapist, asked, minutes, now=now, policy=policy)
    if not therapist.takes_bookings:
        raise TherapistUnavailable(therapist.slug)
    client = _client(asked, now)
    if asked.kind is Kind.FREE_CONSULTATION and has_used_free_consultation(therapist, client):
        raise FreeConsultationUsed
    if is_taken:
        raise SlotTaken
    booking = _create(therapist, client, asked, minutes, now=now, policy=policy)
    _begin(booking, asked, via=via, now=now, policy=policy)
    return booking


def has_used_free_consultation(therapist: Therapist, client: Client) -> bool:
    """Whether a live or used free consultation stands between the two."""
    return bool(
        Booking.select()
        .where(
            Booking.therapist == therapist,
            Booking.client == client,
            Booking.uses_free_consultation,
        )
        .exists()
    )


def _check(
    therapist: Therapist, asked: Request, minutes: int, *, now: datetime, policy: Policy
) -> bool:
    """Whether the asked time is held by another. Raises InvalidFields where it cannot be asked."""
    problems = []
    if asked.kind is Kind.FREE_CONSULTATION and not therapist.offers_free_consultation:
        problems.append(
            FieldError("kind", "This therapist offers no free consultation; please ask for paid.")
        )
    ends_at = asked.starts_at + timedelta(minutes=minutes)
    why = availability.why_not_open(
        asked.starts_at,
        calendar.windows_of(therapist),
        ZoneInfo(therapist.timezone),
        held=queries.held_spans(therapist, asked.starts_at, ends_at, now),
        time_off=queries.time_off_spans(therapist, asked.starts_at, ends_at),
        length_minutes=minutes,
        now=now,
        policy=policy,
    )
    if why is not None and why is not NotOpen.TAKEN:
        problems.append(FieldError("starts_at", _not_open(why, policy)))
    if problems:
        raise InvalidFields(*problems)
    return why is NotOpen.TAKEN


def _not_open(why: NotOpen, policy: Policy) -> str:
    match why:
        case NotOpen.TOO_SOON:
            hours = policy.min_notice / timedelta(hours=1)
            return f"Please choose a start at least {hours:g} hours ahead."
        case NotOpen.TOO_FAR:
            days = policy.max_ahead / timedelta(days=1)
            return f"Please choose a start at most {days:g} days ahead."
        case _:
            return "This is not one of the therapist's open times; please choose one of those."


def _client(asked: Request, now: datetime) -> Client:
    """The client who asks, locked until the commit; a new one if they are not known."""
    # Two first requests of one person, to two therapists, hold no lock in common; and who is
    # erased before we have their lock is nobody we know.
    while (client := queries.locked_client(asked.email)) is None:
        Client.insert(
            email=asked.email,
            email_key=queries.email_key(asked.email),
            name=asked.name,
            timezone=asked.timezone,
            created_at=now,
        ).on_conflict_ignore().execute()
    client.name, client.timezone = asked.name, asked.timezone
    client.save(only=["name", "timezone"])
    return client


def _create(
    therapist: Therapist,
    client: Client,
    asked: Request,
    minutes: int,
    *,
    now: datetime,
    policy: Policy,
) -> Booking:
    is_free = asked.kind is Kind.FREE_CONSULTATION
    ends_at = asked.starts_at + timedelta(minutes=minutes)
    answer_by = acceptance.answer_by(now, policy)
    booking: Booking = Booking.create(
        reference=_fresh_reference(),
        therapist=therapist,
        client=client,
        kind=asked.kind,
        status=Status.REQUESTED,
        requested_at=now,
        answer_by=answer_by,
        expires_at=acceptance.expires_at(now, asked.starts_at, policy),
        starts_at=asked.starts_at,
        ends_at=ends_at,
        fee_minor=0 if is_free else therapist.rate_minor,
        currency=therapist.currency,
        uses_free_consultation=is_free,
        reminder_due_at=acceptance.remind_at(now, policy),
        late_due_at=answer_by,
        completes_at=ends_at + policy.completes_after,
    )
    return booking


def _fresh_reference() -> str:
    while True:
        reference = "MB-" + "".join(secrets.choice(_ALPHABET) for _ in range(6))
        if not Booking.select().where(Booking.reference == reference).exists():
            return reference


def _begin(booking: Booking, asked: Request, *, via: Via, now: datetime, policy: Policy) -> None:
    facts = {
        "fee_minor": booking.fee_minor,
        "currency": booking.currency,
        "commission_percent": str(policy.commission_percent),
        "answer_within_s": policy.answer_within.total_seconds(),
        "expires_after_s": (booking.expires_at - now).total_seconds(),
    }
    if asked.instead_of:
        facts["instead_of"] = asked.instead_of
    transitions.begin(booking, by=Actor.CLIENT, via=via, facts=facts)
    ledger.post(booking, "requested", cancellation.request_lines(booking.fee_minor), now)
    if asked.note:
        Writing.create(
            booking=booking,
            purpose=Purpose.NOTE,
            author=Actor.CLIENT,
            body=asked.note,
            created_at=now,
        )
    ranking.touch(booking.therapist_id, now)
    outbox.enqueue("booking_requested", Role.THERAPIST, booking=booking, now=now)
    outbox.enqueue("booking_received", Role.CLIENT, booking=booking, now=now)
    log.tell("requested", booking, via=via, answer_by=booking.answer_by.isoformat())


def _named(error: IntegrityError) -> Exception:
    match violated(error):
        case Key.HELD_TIME:
            return SlotTaken()
        case Key.FREE_CONSULTATION:
            return FreeConsultationUsed()
        case _:
            return error
