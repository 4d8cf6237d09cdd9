"""Requests of visitors: taken without asking about the address, made once it is confirmed."""

import json
import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import structlog

from app import config, links
from app.errors import (
    FreeConsultationUsed,
    InvalidFields,
    LinkExpired,
    LinkGone,
    SlotTaken,
    TherapistUnavailable,
    TooManyOpen,
)
from app.links import LinkPurpose, LinkToken
from app.rules.lifecycle import Kind, Via
from app.services import email_requests, limits
from app.services.bookings import holds, request
from app.services.bookings.request import BookingRequest
from app.store import outbox, queries, suppressions
from app.store.db.database import in_transaction, on_commit
from app.store.models import Booking, EmailLimit, EmailRequestKind, PendingRequest, Role
from app.store.models.outbox import CONFIRM_REQUEST
from app.store.queries import pending as pending_requests

LINK_LASTS = timedelta(hours=24)
# Why a confirmed request cannot be made, for its owner to read.
REFUSALS = (InvalidFields, TherapistUnavailable, FreeConsultationUsed, SlotTaken, TooManyOpen)
# The requests that one email carries; more wait for the next one.
_MOST_IN_EMAIL = 10

_log = structlog.get_logger("mindsum")


@in_transaction
def take_request(wanted: BookingRequest, *, now: datetime) -> str:
    """The key of a new pending request.

    Raises only what everybody can see: NotFound, InvalidFields, TherapistUnavailable, SlotTaken.
    """
    therapist = queries.locked_therapist_by_slug(wanted.therapist)
    holds.release_ended(therapist, now)
    minutes = request.check_open(therapist, wanted, now)
    key, hashed = secrets.token_urlsafe(16), limits.address_hash(wanted.email)
    pending: PendingRequest = PendingRequest.create(
        key=key,
        therapist=therapist,
        kind=wanted.kind,
        starts_at=wanted.starts_at,
        ends_at=wanted.starts_at + timedelta(minutes=minutes),
        address_hash=hashed,
        details=_details(wanted),
        created_at=now,
        expires_at=now + LINK_LASTS,
    )
    until = now + timedelta(minutes=float(config.current().unconfirmed_minutes))
    holds.hold_if_allowed(pending, therapist, until=until, now=now)
    ask_for_link(key, wanted.email, now)
    slug = therapist.slug
    on_commit(lambda: _log.info("request_typed", therapist=slug))
    return key


def _details(wanted: BookingRequest) -> str:
    names = ("name", "given_name", "email", "timezone", "note")
    return json.dumps({name: getattr(wanted, name) or "" for name in names})


def ask_for_link(key: str, address: str, now: datetime) -> None:
    """The link, to an address that may be another one than before; see `send_link`."""
    email_requests.create(EmailRequestKind.CONFIRM_REQUEST, address, now, about=key)


@in_transaction
def send_link(key: str, address: str, now: datetime) -> None:
    """Queue the link, to a corrected address where it differs; once it is confirmed, nothing."""
    pending = _locked(key)
    if pending is None or pending.booking_id is not None or pending.expires_at <= now:
        return
    hashed = limits.address_hash(address)
    if address != pending.email:
        _set(pending, details=json.dumps({**pending.typed, "email": address}))
    counted = limits.lock_emails(CONFIRM_REQUEST, hashed, now)
    suppressions.try_again(address)
    if hashed != pending.address_hash:
        _correct_address(pending, hashed, now)
    elif pending.told_by is not None and pending.told_by.is_waiting:
        return
    _tell(pending, counted, now)


def _correct_address(pending: PendingRequest, hashed: str, now: datetime) -> None:
    # The link that went to the other address ends, since it names that address as its holder.
    held_until = pending.held_until
    holds.release(pending)
    _set(pending, address_hash=hashed, told_by=None)
    if held_until is not None and held_until > now:
        therapist = queries.therapist_by_id(pending.therapist_id)
        holds.hold_if_allowed(pending, therapist, until=held_until, now=now)


def _tell(pending: PendingRequest, counted: EmailLimit, now: datetime) -> None:
    """Let an email carry its link: one that still waits for the same address, or a new one."""
    is_link_out = pending_requests.has_confirm_link_out(pending.address_hash, now)
    email = pending_requests.locked_waiting_confirmation(pending.address_hash)
    if email is not None and email.pending_requests.count() < _MOST_IN_EMAIL:
        limits.merge(email, counted, now, is_link_out=is_link_out)
    else:
        email = outbox.enqueue(
            CONFIRM_REQUEST,
            Role.CLIENT,
            # Random, since row ids return after a restore and Message-IDs must not.
            about=f"confirm-{secrets.token_hex(8)}",
            ordinal=outbox.random_ordinal(),
            address=pending.email,
            not_before=limits.next_email_at(counted, now, is_link_out=is_link_out),
            now=now,
        )
    _set(pending, told_by=email)


def _set(pending: PendingRequest, **changes: object) -> None:
    for name, value in changes.items():
        setattr(pending, name, value)
    pending.save(only=list(changes))


def _locked(key: str) -> PendingRequest | None:
    """A pending request, locked with its therapist until the commit."""
    pending = pending_requests.pending_by_key(key)
    if pending is None:
        return None
    queries.locked_therapist(pending.therapist_id)
    return pending_requests.locked_pending(key)


def url(pending: PendingRequest, email: int | None = None) -> str:
    """`email`: the number of the outbox email that carries it."""
    return links.url(
        LinkPurpose.CONFIRM,
        holder=pending.link_holder,
        subject=pending.key,
        # The second at which it ends, for when the row is gone.
        epoch=int(pending.expires_at.timestamp()),
        email=email,
    )


def find(link: LinkToken, now: datetime) -> PendingRequest:
    """What a Confirm Request link opens. Raises LinkExpired or LinkGone."""
    return _checked(pending_requests.pending_by_key(link.subject), link, now)


def _checked(pending: PendingRequest | None, link: LinkToken, now: datetime) -> PendingRequest:
    if now >= datetime.fromtimestamp(link.epoch, UTC):
        raise LinkExpired("This link has expired.")
    if pending is None or link.holder != pending.link_holder:
        raise LinkGone("What this link opened is no longer here.")
    return pending


def wanted_by(pending: PendingRequest) -> BookingRequest:
    therapist, typed = queries.therapist_by_id(pending.therapist_id), pending.typed
    return BookingRequest(
        therapist=therapist.slug,
        name=typed["name"],
        given_name=typed["given_name"],
        email=typed["email"],
        timezone=typed["timezone"],
        starts_at=pending.starts_at,
        kind=pending.kind,
        note=typed["note"],
    )


def confirm(
    link: LinkToken,
    now: datetime,
    *,
    starts_at: datetime | None = None,
    kind: Kind | None = None,
) -> Booking:
    """Make the request, once; afterwards the booking that it became.

    `starts_at`, `kind`: another choice than the one typed. Raises LinkExpired, LinkGone, or what
    `request_booking` raises; what was typed is kept then, and its time is free.
    """
    try:
        return _confirm(link, now, starts_at, kind)
    except REFUSALS:
        _give_up_hold(link.subject)
        raise


@in_transaction
def _confirm(
    link: LinkToken, now: datetime, starts_at: datetime | None, kind: Kind | None
) -> Booking:
    pending = _checked(_locked(link.subject), link, now)
    if pending.booking_id is not None:
        return queries.booking_by_id(pending.booking_id)
    # Otherwise its own hold would stand in its way.
    holds.release(pending)
    wanted = wanted_by(pending)
    chosen = replace(wanted, starts_at=starts_at or wanted.starts_at, kind=kind or wanted.kind)
    booking = request.request_booking(chosen, via=Via.PAGE, now=now)
    PendingRequest.update(booking=booking).where(PendingRequest.id == pending.id).execute()
    return booking


@in_transaction
def _give_up_hold(key: str) -> None:
    pending = _locked(key)
    if pending is not None and pending.held_until is not None:
        holds.release(pending)
