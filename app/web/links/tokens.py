"""The booking behind a signed link, and links to a booking for pages."""

from datetime import datetime, timedelta
from http import HTTPStatus

from flask import url_for

from app import links
from app.errors import LinkExpired, LinkGone, LinkOutdated, NotFound
from app.links import LinkPurpose
from app.rules.lifecycle import Status, Verdict
from app.store import queries
from app.store.models import Booking
from app.web import access

# After its session, a client's links open the booking for so long.
MANAGE_LASTS = timedelta(days=90)

_PAGES = {
    LinkPurpose.SESSION: "links.view_session",
    LinkPurpose.ACCEPT: "links.show_accept",
    LinkPurpose.DECLINE: "links.show_decline",
    LinkPurpose.MANAGE: "client.manage",
    LinkPurpose.CHOOSE: "choose.show_choices",
    LinkPurpose.SUGGEST: "another_time.show_suggest",
    LinkPurpose.TAKE: "another_time.show_take",
    LinkPurpose.KEEP: "another_time.show_keep",
    LinkPurpose.AGREE: "another_time.show_agree",
    LinkPurpose.REFUSE: "another_time.show_refuse",
}


def load_booking(purpose: LinkPurpose, token: str, now: datetime) -> Booking:
    """The booking of a link. Raises LinkInvalid, LinkGone, LinkExpired or LinkOutdated."""
    link = links.read(purpose, token)
    try:
        booking = queries.booking_by_reference(link.subject)
    except NotFound:
        raise LinkGone("What this link opened is no longer here.") from None
    holder = _holder(purpose, booking)
    reader = booking.client if purpose in links.TO_CLIENTS else booking.therapist
    is_erased = booking.client.is_erased or reader.is_erased
    if is_erased or _person(link.holder) != _person(holder):
        raise LinkGone("What this link opened is no longer here.")
    if link.epoch > booking.epoch:
        raise LinkGone("This link was made for a database that was lost.")
    # Ops revoked the links of this booking, or the address they were sent to was changed.
    if link.epoch < booking.oldest_epoch or link.holder != holder:
        raise LinkExpired("This link has ended.")
    if purpose in links.TO_CLIENTS and not is_open_to_client(booking, now):
        raise LinkExpired("This link has expired.")
    access.note_link(link, booking=booking)
    # View Session leads to a page behind a sign-in, which shows the present time.
    if link.epoch < booking.epoch and purpose is not LinkPurpose.SESSION:
        is_of_client = purpose in links.TO_CLIENTS
        raise LinkOutdated(booking.reference, is_of_client=is_of_client)
    return booking


def is_open_to_client(booking: Booking, now: datetime) -> bool:
    return now < booking.ends_at + MANAGE_LASTS


def path(purpose: LinkPurpose, booking: Booking) -> str:
    led_here = access.good_link()
    token = links.mint(
        purpose,
        holder=_holder(purpose, booking),
        subject=booking.reference,
        epoch=booking.epoch,
        email=led_here.email if led_here else None,
        is_of_page=True,
    )
    return url_for(_PAGES[purpose], token=token)


def http_status(booking: Booking, verdict: Verdict, now: datetime) -> HTTPStatus:
    """200 if the move is done, 410 if the enquiry has expired instead, otherwise 409."""
    if verdict in (Verdict.ALLOWED, Verdict.REPEATED):
        return HTTPStatus.OK
    is_expired = booking.status_at(now) is Status.EXPIRED
    return HTTPStatus.GONE if is_expired else HTTPStatus.CONFLICT


def _holder(purpose: LinkPurpose, booking: Booking) -> str:
    return links.holder_of(purpose, client=booking.client, therapist=booking.therapist)


def _person(holder: str) -> str:
    return holder.partition(".")[0]
