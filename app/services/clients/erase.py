"""Erasing a client: everything held on them goes but the ledger."""

from datetime import datetime

from app.errors import FieldError, InvalidFields, NotFound
from app.rules.lifecycle import LIVE, Actor, Via
from app.services import access_trail, limits
from app.services.access_trail import Access
from app.services.bookings import cancel, transitions
from app.services.inbound import personal_data
from app.services.mail import masking
from app.services.mail.erase import erase_emails
from app.store import erasure_log, queries, suppressions
from app.store.db.database import drop_log, in_transaction, on_commit
from app.store.models import (
    AccessEntry,
    AccessEvent,
    Booking,
    Client,
    EmailLimit,
    EmailRequest,
    OutboxEmail,
    PendingRequest,
    Role,
    Writing,
)
from app.store.queries import pending as pending_requests


@in_transaction
def erase_client(address: str, now: datetime, *, ends_live_bookings: bool = False) -> int:
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


def _erase_bookings(client: Client, now: datetime) -> int:
    """What names the client in their bookings and emails; how many bookings."""
    own_bookings = Booking.select(Booking.id).where(Booking.client == client)
    words = masking.words_of_client(client, Booking.select().where(Booking.client == client))
    Writing.delete().where(Writing.booking.in_(own_bookings)).execute()
    about = OutboxEmail.booking.in_(own_bookings) | (OutboxEmail.client == client)
    erase_emails(about, Role.CLIENT, now)
    masking.mask_refusals(words)
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
