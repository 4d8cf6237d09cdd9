"""A client's links: sent again, ended by another address, and the first use of one."""

from contextlib import suppress
from datetime import datetime

from peewee import IntegrityError

from app.errors import FieldError, InvalidFields, NotFound, StoreUnavailable
from app.rules.lifecycle import Status
from app.services import access_trail, email_requests, limits
from app.services.access_trail import Access
from app.services.inbound import personal_data
from app.services.therapists import ranking
from app.store import outbox, queries, suppressions
from app.store.db.database import in_transaction
from app.store.models import (
    AccessEvent,
    Booking,
    Client,
    EmailRequestKind,
    ManageVisit,
    Role,
)

_LINKS_EMAIL = "your_links"


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
