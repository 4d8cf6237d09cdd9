"""Requesting a session: every rule that a request must meet, and the rows that it writes."""

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
from app.rules.names import given_name
from app.rules.policy import Policy
from app.services import availability as open_times
from app.services import limits
from app.services.bookings import holds, ledger, log, transitions
from app.services.inbound.addresses import facts_of_organizer
from app.services.therapists import ranking
from app.services.validation import REFERENCE_LETTERS
from app.store import outbox, queries, suppressions
from app.store.db.database import in_transaction
from app.store.db.errors import Key, violated
from app.store.db.statements import Statement
from app.store.models import Booking, Client, Purpose, Role, Therapist, Writing

_EMAILS = (("booking_requested", Role.THERAPIST), ("booking_received", Role.CLIENT))
_USED_CONSULTATION = Statement[tuple[int]](
    lambda therapist, client: (
        Booking.select(Booking.id)
        .where(
            Booking.therapist == therapist,
            Booking.client == client,
            Booking.uses_free_consultation,
        )
        .tuples()
    )
)
_REFERENCE = Statement[tuple[int]](
    lambda reference: Booking.select(Booking.id).where(Booking.reference == reference).tuples()
)


@dataclass(frozen=True, slots=True)
class BookingRequest:
    """Already validated; `starts_at` is aware UTC."""

    therapist: str  # the slug
    name: str
    email: str
    timezone: str
    starts_at: datetime
    kind: Kind
    note: str = ""
    # The booking in whose place this one is requested.
    replaces: Booking | None = None
    # Derived from `name` if they gave none.
    given_name: str | None = None


def request_booking(wanted: BookingRequest, *, via: Via, now: datetime) -> Booking:
    """The new booking.

    Raises NotFound, InvalidFields, TherapistUnavailable, FreeConsultationUsed, SlotTaken, and for
    `Via.PAGE` TooManyOpen.
    """
    try:
        return _request_booking(wanted, via=via, now=now)
    except IntegrityError as error:
        # Two requests passed the same check at once: the unique keys decide.
        raise _refusal(error) from error


@in_transaction
def _request_booking(wanted: BookingRequest, *, via: Via, now: datetime) -> Booking:
    therapist = queries.locked_therapist_by_slug(wanted.therapist)
    if queries.has_overdue(therapist, now):
        holds.release_ended(therapist, now)
        transitions.catch_up_therapist(therapist.id, via=via, now=now)
        # A completion that was due may have deactivated the account.
        therapist = queries.therapist_by_id(therapist.id)
    policy = config.current().policy
    minutes, is_taken = _check(therapist, wanted, now=now, policy=policy)
    client = queries.locked_or_new_client(wanted.email, now)
    if wanted.kind is Kind.FREE_CONSULTATION and has_used_free_consultation(therapist, client):
        raise FreeConsultationUsed
    if is_taken:
        raise SlotTaken
    if via is Via.PAGE:
        limits.check_open_enquiries(therapist, client, now)
    booking = _create(therapist, client, wanted, minutes, now=now, policy=policy)
    _record(booking, wanted, via=via, now=now, policy=policy)
    return booking


def check_open(therapist: Therapist, wanted: BookingRequest, now: datetime) -> int:
    """The length in minutes of a session that anybody could ask this therapist for.

    Raises InvalidFields, TherapistUnavailable or SlotTaken.
    """
    minutes, is_taken = _check(therapist, wanted, now=now, policy=config.current().policy)
    if is_taken:
        raise SlotTaken
    return minutes


def has_used_free_consultation(therapist: Therapist, client: Client) -> bool:
    return _USED_CONSULTATION.first(therapist.id, client.id) is not None


def _check(
    therapist: Therapist, wanted: BookingRequest, *, now: datetime, policy: Policy
) -> tuple[int, bool]:
    """The length in minutes, and whether another booking or request holds the time.

    Raises InvalidFields if it cannot be requested, and TherapistUnavailable.
    """
    problems, minutes = [], open_times.length_minutes(wanted.kind, policy)
    if wanted.kind is Kind.FREE_CONSULTATION and not therapist.offers_free_consultation:
        problems.append(
            FieldError("kind", "This therapist offers no free consultation; please ask for paid.")
        )
    ends_at = wanted.starts_at + timedelta(minutes=minutes)
    taken = queries.taken_spans(therapist, wanted.starts_at, ends_at, now)
    why = availability.why_not_open(
        wanted.starts_at,
        open_times.windows_of(therapist),
        ZoneInfo(therapist.timezone),
        held=taken.held,
        time_off=taken.time_off,
        length_minutes=minutes,
        now=now,
        policy=policy,
    )
    if why is not None and why is not NotOpen.TAKEN:
        problems.append(FieldError("starts_at", not_open(why, policy)))
    if problems:
        raise InvalidFields(*problems)
    if not therapist.takes_bookings:
        raise TherapistUnavailable(therapist.slug)
    return minutes, why is NotOpen.TAKEN


def not_open(why: NotOpen, policy: Policy) -> str:
    match why:
        case NotOpen.TOO_SOON:
            hours = policy.min_notice / timedelta(hours=1)
            return f"Please choose a start at least {hours:g} hours ahead."
        case NotOpen.TOO_FAR:
            days = policy.max_ahead / timedelta(days=1)
            return f"Please choose a start at most {days:g} days ahead."
        case _:
            return "This is not one of the therapist's open times; please choose one of those."


def _create(
    therapist: Therapist,
    client: Client,
    wanted: BookingRequest,
    minutes: int,
    *,
    now: datetime,
    policy: Policy,
) -> Booking:
    is_free = wanted.kind is Kind.FREE_CONSULTATION
    ends_at = wanted.starts_at + timedelta(minutes=minutes)
    answer_by = acceptance.answer_by(now, policy)
    booking: Booking = Booking.create(
        reference=_new_reference(),
        therapist=therapist,
        client=client,
        client_name=wanted.name,
        client_given_name=wanted.given_name or given_name(wanted.name),
        client_timezone=wanted.timezone,
        kind=wanted.kind,
        status=Status.REQUESTED,
        requested_at=now,
        answer_by=answer_by,
        expires_at=acceptance.expires_at(now, wanted.starts_at, policy),
        starts_at=wanted.starts_at,
        ends_at=ends_at,
        fee_minor=0 if is_free else therapist.rate_minor,
        currency=therapist.currency,
        uses_free_consultation=is_free,
        reminder_due_at=acceptance.remind_at(now, policy),
        late_due_at=answer_by,
        completes_at=ends_at + policy.completes_after,
        replaces=wanted.replaces,
    )
    return booking


def _new_reference() -> str:
    while True:
        reference = "MB-" + "".join(secrets.choice(REFERENCE_LETTERS) for _ in range(6))
        if _REFERENCE.first(reference) is None:
            return reference


def _record(
    booking: Booking, wanted: BookingRequest, *, via: Via, now: datetime, policy: Policy
) -> None:
    facts = {
        "fee_minor": booking.fee_minor,
        "starts_at": booking.starts_at.isoformat(),
        "currency": booking.currency,
        "commission_percent": str(policy.commission_percent),
        "answer_within_s": policy.answer_within.total_seconds(),
        "expires_after_s": (booking.expires_at - now).total_seconds(),
        # Of the calendar entry, for its whole life.
        "organizer": config.current().mail_default_sender,
        **facts_of_organizer(booking.therapist, booking.client),
        # Of the subject, for the thread's whole life.
        "therapist_given_name": booking.therapist.given_name,
        "therapist_timezone": booking.therapist.timezone,
    }
    transitions.record_request(booking, by=Actor.CLIENT, via=via, facts=facts)
    ledger.post(booking, "requested", cancellation.request_lines(booking.fee_minor), now)
    if wanted.note:
        Writing.create(
            booking=booking,
            purpose=Purpose.NOTE,
            author=Actor.CLIENT,
            body=wanted.note,
            created_at=now,
        )
    ranking.schedule_refresh(booking.therapist_id, now)
    # Its owner uses the address again.
    suppressions.try_again(wanted.email)
    outbox.enqueue_each(_EMAILS, booking=booking, now=now)
    log.booking_event("requested", booking, via=via, answer_by=booking.answer_by.isoformat())


def _refusal(error: IntegrityError) -> Exception:
    match violated(error):
        case Key.HELD_TIME:
            return SlotTaken()
        case Key.FREE_CONSULTATION:
            return FreeConsultationUsed()
        case _:
            return error
