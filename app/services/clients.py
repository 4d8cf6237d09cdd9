"""Clients: sending links again, changing an address, exporting what is held, and erasing it."""

from contextlib import suppress
from datetime import datetime
from typing import Any

from peewee import IntegrityError

from app.errors import FieldError, InvalidFields, NotFound, StoreUnavailable
from app.rules.lifecycle import LIVE, Actor, Status, Via
from app.services import access_trail, email_requests, exports, limits
from app.services.access_trail import Access
from app.services.bookings import cancel, transitions
from app.services.inbound import personal_data
from app.services.mail import private_words
from app.services.mail.erase import erase_emails
from app.services.therapists import ranking
from app.store import erasure_log, outbox, queries, suppressions
from app.store.db.database import drop_log, in_transaction, on_commit
from app.store.models import (
    AccessEntry,
    AccessEvent,
    Booking,
    Client,
    EmailLimit,
    EmailRequest,
    EmailRequestKind,
    ManageVisit,
    OutboxEmail,
    PendingRequest,
    Purpose,
    Role,
    Writing,
)
from app.store.queries import pending as pending_requests

_LINKS_EMAIL = "your_links"


def export(address: str, now: datetime) -> dict[str, Any]:
    """Everything held on a client, as JSON values. Raises NotFound.

    Raises StoreUnavailable too where the access trail cannot record it.
    """
    client, unconfirmed = queries.client_by_email(address), _unconfirmed(address)
    access = Access(AccessEvent.EXPORTED, client=client, about="client")
    if client is None and unconfirmed:
        access_trail.record_required(access, now)
        return {"email": address, "bookings": [], "unconfirmed": unconfirmed}
    client = _client(address)
    access_trail.record_required(access, now)
    bookings = Booking.select().where(Booking.client == client)
    unreachable = suppressions.of_address(client.email)
    return {
        "email": client.email,
        "first_seen_at": client.created_at.isoformat(),
        "no_emails_because": unreachable.reason if unreachable else None,
        "bookings": [_booking(booking) for booking in bookings.order_by(Booking.id)],
        "emails": exports.emails(OutboxEmail.client == client),
        "unconfirmed": unconfirmed,
        "sent_to_us": personal_data.export(client),
        "access": [exports.access(entry) for entry in queries.access_to_client(client)],
    }


@in_transaction
def erase(address: str, now: datetime, *, ends_live_bookings: bool = False) -> int:
    """Remove everything held on a client but the ledger; returns how many bookings they had.

    Their links stop working, and ERASURE_LOG remembers it. Raises NotFound, ErasureLogUnusable,
    and InvalidFields while a booking is live, unless it is to end too.
    """
    # SQLite's write-ahead log still holds the old pages.
    on_commit(drop_log)
    erased = Access(AccessEvent.ERASED, client=queries.client_by_email(address), about="client")
    if _forget_unconfirmed(address) and erased.client is None:
        access_trail.record_required(erased, now)
        return 0
    client = _client(address)
    # Every use case locks therapists before clients. With both locked, nothing new is written.
    # `_forget_unconfirmed` has locked the therapists.
    _apply_overdue_moves(client, now)
    if ends_live_bookings:
        _cancel_live(client, now)
    if queries.locked_client(address) is None:
        raise NotFound("client with that address")
    if not ends_live_bookings:
        _refuse_while_live(client, now)
    suppressions.forget(address)
    personal_data.forget(client, address)
    gone = client.erased_address
    Client.update(email=gone, email_key=gone).where(Client.id == client.id).execute()
    # The trail names them by number alone, and now says nothing of where they were.
    AccessEntry.update(network="").where(AccessEntry.client == client).execute()
    access_trail.record_required(erased, now)
    count = _erase_bookings(client, now)
    erasure_log.add(client, now)
    return count


def _erase_bookings(client: Client, now: datetime) -> int:
    """What names the client in their bookings and emails; how many bookings."""
    own_bookings = Booking.select(Booking.id).where(Booking.client == client)
    words = private_words.of_client(client, Booking.select().where(Booking.client == client))
    Writing.delete().where(Writing.booking.in_(own_bookings)).execute()
    about = OutboxEmail.booking.in_(own_bookings) | (OutboxEmail.client == client)
    erase_emails(about, Role.CLIENT, now)
    private_words.remove_from_refusals(words)
    count = (
        Booking.update(
            client_name="Erased",
            client_given_name="Erased",
            client_timezone="UTC",
            unread_since=None,
            # A link names the epoch it was made for, so raising it ends every link.
            epoch=Booking.epoch + 1,
            oldest_epoch=Booking.epoch + 1,
        )
        .where(Booking.client == client)
        .execute()
    )
    return int(count)


@in_transaction
def change_address(address: str, new: str, now: datetime) -> Client:
    """Links that were sent to the old address end. Raises NotFound, or InvalidFields if taken."""
    client = queries.locked_client(address)
    if client is None or client.is_erased:
        raise NotFound("client with that address")
    client.links_epoch += client.email_key != queries.email_key(new)
    client.email, client.email_key = new, queries.email_key(new)
    try:
        client.save(only=["email", "email_key", "links_epoch"])
    except IntegrityError as error:
        taken = f"{new} is the address of another client; choose another"
        raise InvalidFields(FieldError("new", taken)) from error
    suppressions.forget(address)
    suppressions.forget(new)
    personal_data.follow_address(address, new, now)
    outbox.restart_queued(client, now)
    return client


def record_visit(booking: Booking, now: datetime) -> None:
    """Note that a client used their link: from then on the booking's expiry counts in the ranking.

    Call it for a press, since opening the page could be a program that scans mail.
    """
    is_unanswered = booking.status in (Status.REQUESTED, Status.EXPIRED)
    if is_unanswered and queries.is_first_visit(booking):
        # A database that cannot be written can still be read, and the page with it.
        with suppress(StoreUnavailable):
            _record_first_visit(booking, now)


@in_transaction
def _record_first_visit(booking: Booking, now: datetime) -> None:
    queries.locked_therapist(booking.therapist_id)
    ManageVisit.insert(booking=booking, at=now).on_conflict_ignore().execute()
    if booking.status_at(now) is Status.EXPIRED:
        ranking.schedule_refresh(booking.therapist_id, now)


def ask_for_links(address: str, now: datetime) -> None:
    email_requests.create(EmailRequestKind.YOUR_LINKS, address, now)


@in_transaction
def send_links(address: str, now: datetime) -> None:
    """Queue an email with every live booking of a client; nothing where there is none."""
    client = queries.locked_client(address)
    access_trail.record(Access(AccessEvent.LINKS_ASKED, client=client), now)
    if client is None or not queries.live_bookings_of_client(client, now):
        return
    suppressions.try_again(address)
    counted = limits.lock_emails(_LINKS_EMAIL, limits.address_hash(address), now)
    about = f"links-{client.id}"
    is_link_out = queries.has_left(about)
    # It will carry every live booking, so no second is added.
    waiting = queries.locked_waiting(about)
    if waiting is not None:
        limits.merge(waiting, counted, now, is_link_out=is_link_out)
        return
    outbox.enqueue(
        _LINKS_EMAIL,
        Role.CLIENT,
        client=client,
        about=about,
        ordinal=outbox.random_ordinal(),
        not_before=limits.next_email_at(counted, now, is_link_out=is_link_out),
        now=now,
    )


def _unconfirmed(address: str) -> list[dict[str, Any]]:
    """What was typed with that address and is not confirmed yet."""
    found = pending_requests.pending_of_address(limits.address_hashes(address))
    return [
        {
            **pending.typed,
            "therapist": pending.therapist.slug,
            "kind": str(pending.kind),
            "starts_at": pending.starts_at.isoformat(),
            "at": pending.created_at.isoformat(),
        }
        for pending in found
        if pending.booking_id is None
    ]


def _forget_unconfirmed(address: str) -> int:
    hashes, client = limits.address_hashes(address), queries.client_by_email(address)
    # First, as deliver_outbox takes these rows before it locks therapists.
    EmailRequest.delete().where(EmailRequest.address_hash.in_(hashes)).execute()
    found = pending_requests.pending_of_address(hashes)
    bookings = Booking.select(Booking.therapist).where(Booking.client == client)
    # At once with those of the bookings: locks taken in another order could meet.
    queries.lock_therapists(each.therapist_id for each in (*found, *bookings))
    emails = [pending.told_by_id for pending in found]
    OutboxEmail.update(domain="").where(OutboxEmail.id.in_(emails)).execute()
    EmailLimit.delete().where(EmailLimit.address_hash.in_(hashes)).execute()
    return int(PendingRequest.delete().where(PendingRequest.address_hash.in_(hashes)).execute())


def _apply_overdue_moves(client: Client, now: datetime) -> None:
    # A booking past its expiry or its end is live only until somebody writes that down.
    live = (Booking.client == client) & Booking.status.in_(LIVE)
    for booking in queries.with_therapist_and_client(live):
        transitions.catch_up(booking, via=Via.CLI, now=now)


def _cancel_live(client: Client, now: datetime) -> None:
    for booking in queries.live_bookings_of_client(client, now):
        cancel.cancel(booking, by=Actor.CLIENT, via=Via.CLI, now=now)


def _refuse_while_live(client: Client, now: datetime) -> None:
    # The therapist would wait for a person we no longer know.
    live = Booking.select().where(Booking.client == client, Booking.status.in_(LIVE))
    references = [each.reference for each in live.order_by(Booking.id) if now < each.ends_at]
    if references:
        message = f"has live bookings ({', '.join(references)}); cancel them first"
        raise InvalidFields(FieldError("email", message))


def _client(address: str) -> Client:
    client = queries.client_by_email(address)
    if client is None:
        raise NotFound("client with that address")
    return client


def _booking(booking: Booking) -> dict[str, Any]:
    # A therapist's private notes are the therapist's own records.
    writings = queries.writings_of(booking, *(set(Purpose) - {Purpose.PRIVATE_NOTE}))
    return {
        "reference": booking.reference,
        "therapist": booking.therapist.slug,
        "name": booking.client_name,
        "given_name": booking.client_given_name,
        "timezone": booking.client_timezone,
        **exports.booking(booking, Role.CLIENT, writings),
    }
