"""Masks people's names and addresses in what mail servers said, for logs and stored refusals."""

import re
from collections.abc import Collection, Iterable

from app.mailer import masked
from app.store import queries
from app.store.models import (
    Booking,
    Client,
    MailPause,
    OutboxEmail,
    PendingRequest,
    Suppression,
    Therapist,
)

_WORD = re.compile(r"\w{2,}")


def words_of_email(email: OutboxEmail) -> set[str]:
    """Of all people that the email is to or about."""
    booking, recipient = email.booking, email.recipient
    words = words_of_booking(booking) if booking else set()
    if isinstance(recipient, PendingRequest):
        typed = recipient.typed
        words |= _of_names(typed["name"], typed["given_name"]) | _of_address(recipient.email)
        words |= words_of_therapist(recipient.therapist)
    elif isinstance(recipient, Client) and booking is None:
        # It lists their bookings.
        for each in queries.with_therapist_and_client(Booking.client == recipient):
            words |= words_of_booking(each)
    therapist = email.therapist or (recipient if isinstance(recipient, Therapist) else None)
    return words | words_of_therapist(therapist) if therapist else words


def words_of_booking(booking: Booking) -> set[str]:
    return words_of_client(booking.client, [booking]) | words_of_therapist(booking.therapist)


def words_of_client(client: Client, bookings: Iterable[Booking]) -> set[str]:
    """With the names that they gave for these bookings of theirs."""
    names = {name for each in bookings for name in (each.client_name, each.client_given_name)}
    return _of_names(*names) | _of_address(client.email)


def words_of_therapist(therapist: Therapist) -> set[str]:
    words = _of_names(therapist.name, therapist.given_name) | _of_address(therapist.email)
    # The room of a meeting, however much of its address is repeated.
    _, _, room = (therapist.meeting_url or "").partition("://")
    return words | ({room, *room.split("/")} - {""})


def mask_refusals(words: Collection[str]) -> None:
    """In stored refusals that are not about one email alone."""
    for table in (MailPause, Suppression):
        for row in table.select():
            rest = masked(row.reason, words)
            if rest != row.reason:
                table.update(reason=rest).where(table.id == row.id).execute()


def _of_names(*names: str) -> set[str]:
    return {*names, *(word for name in names for word in _WORD.findall(name))} - {""}


def _of_address(address: str) -> set[str]:
    # A domain may name its owner.
    local, _, domain = address.rpartition("@")
    return {address, local, domain}
