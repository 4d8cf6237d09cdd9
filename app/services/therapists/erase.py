"""Erasing a therapist: everything held on them goes but the ledger and what clients wrote."""

import secrets
from datetime import datetime

from peewee import ModelSelect

from app.errors import FieldError, InvalidFields
from app.rules.lifecycle import LIVE, Actor, Move, Status, Via
from app.rules.search_key import search_key
from app.services import access_trail, limits
from app.services.access_trail import Access
from app.services.bookings import cancel, transitions
from app.services.inbound import personal_data
from app.services.mail import erase, masking
from app.store import erasure_log, queries, suppressions
from app.store.db.database import drop_log, in_transaction, on_commit
from app.store.models import (
    AccessEntry,
    AccessEvent,
    Booking,
    CalendarFeed,
    EmailLimit,
    EmailRequest,
    IdempotentAnswer,
    OutboxEmail,
    Party,
    PendingRequest,
    Role,
    SignIn,
    SignInSession,
    StandingEntry,
    Therapist,
    TherapistPhone,
    TherapistPhoto,
    TimelineEntry,
    TimeOff,
    Window,
    Writing,
)
from app.store.queries import earnings

# What clients and ops read in the place of the name.
FORMER_NAME = "Former therapist"
# Of a timeline's facts, those that are about the person.
_PERSONAL_FACTS = ("therapist_given_name", "therapist_timezone")


@in_transaction
def erase_therapist(slug: str, now: datetime, *, ends_live_bookings: bool = False) -> int:
    """Remove everything held on a therapist but the ledger; returns how many bookings they had.

    What clients wrote to them stays the clients'. Their links end, and ERASURE_LOG remembers it.
    Raises NotFound, ErasureLogUnusable, and InvalidFields while a booking is live, unless it is
    to end too.
    """
    # SQLite's write-ahead log still holds the old pages.
    on_commit(drop_log)
    therapist = queries.locked_therapist_by_slug(slug)
    transitions.catch_up_therapist(therapist.id, via=Via.CLI, now=now)
    if ends_live_bookings:
        _end_live(therapist, now)
    else:
        _refuse_while_live(therapist, now)
    erased = Access(AccessEvent.ERASED, therapist=therapist, about="therapist")
    access_trail.record_required(erased, now)
    own_bookings = Booking.select(Booking.id).where(Booking.therapist == therapist)
    personal_data.forget(therapist, therapist.email)
    _erase_account(therapist)
    _erase_words(own_bookings)
    suppressions.forget(therapist.email)
    _erase_pending_requests(therapist)
    about = OutboxEmail.booking.in_(own_bookings) | (OutboxEmail.therapist == therapist)
    erase.erase_emails(about, Role.THERAPIST, now)
    masking.mask_refusals(masking.words_of_therapist(therapist))
    # The object still has the address of before, by which they are known again.
    erasure_log.add(therapist, now)
    return int(own_bookings.count())


def _live(therapist: Therapist, now: datetime) -> list[Booking]:
    live = (Booking.therapist == therapist) & Booking.status.in_(LIVE) & (Booking.ends_at > now)
    return list(queries.with_therapist_and_client(live).order_by(Booking.starts_at))


def _refuse_while_live(therapist: Therapist, now: datetime) -> None:
    # Their clients would wait for a person we no longer know.
    references = [each.reference for each in _live(therapist, now)]
    if references:
        shown = ", ".join(references[:10]) + (" …" if len(references) > 10 else "")
        message = f"has live bookings ({shown}); decline or cancel them first"
        raise InvalidFields(FieldError("slug", message))


def _end_live(therapist: Therapist, now: datetime) -> None:
    for booking in _live(therapist, now):
        by, via = Actor.THERAPIST, Via.CLI
        if booking.status is Status.REQUESTED:
            transitions.make_move(booking, Move.DECLINE, by=by, via=via, now=now)
        else:
            cancel.cancel(booking, by=by, via=via, now=now)


def _erase_account(therapist: Therapist) -> None:
    for table in (
        Window, TimeOff, TherapistPhone, TherapistPhoto, CalendarFeed, SignIn, SignInSession
    ):  # fmt: skip
        table.delete().where(table.therapist == therapist).execute()
    hashes = limits.address_hashes(therapist.email)
    for kept_by_hash in (EmailRequest, EmailLimit):
        kept_by_hash.delete().where(kept_by_hash.address_hash.in_(hashes)).execute()
    # Answers that the API repeats for two days name the slug.
    named = IdempotentAnswer.body.contains(therapist.slug)
    IdempotentAnswer.delete().where(named).execute()
    AccessEntry.update(network="").where(
        AccessEntry.therapist == therapist, AccessEntry.by == Party.THERAPIST
    ).execute()
    StandingEntry.update(reason=None).where(StandingEntry.therapist == therapist).execute()
    # Streak, flag and score follow from bookings, which stay.
    Therapist.update(
        slug=f"erased-{secrets.token_hex(6)}",
        name=FORMER_NAME,
        given_name=FORMER_NAME,
        name_search=search_key(FORMER_NAME),
        email=therapist.erased_address,
        email_key=therapist.erased_address,
        timezone="UTC",
        rate_minor=0,
        meeting_url=None,
        photo_key=None,
        headline="",
        about="",
        specialisms="",
        specialisms_search="",
        qualifications="",
        languages="",
        languages_search="",
        is_paused=True,
        is_hidden=True,
        links_epoch=Therapist.links_epoch + 1,
    ).where(Therapist.id == therapist.id).execute()
    earnings.recount(queries.therapist_by_id(therapist.id))


def _erase_words(own_bookings: "ModelSelect[Booking]") -> None:
    Writing.delete().where(
        Writing.booking.in_(own_bookings), Writing.author == Actor.THERAPIST
    ).execute()
    requested = TimelineEntry.select().where(
        TimelineEntry.booking.in_(own_bookings), TimelineEntry.event == "requested"
    )
    for entry in list(requested):
        rest = {name: entry.facts[name] for name in entry.facts if name not in _PERSONAL_FACTS}
        TimelineEntry.update(facts=rest).where(TimelineEntry.id == entry.id).execute()


def _erase_pending_requests(therapist: Therapist) -> None:
    """No request to them can be confirmed any more."""
    mine = PendingRequest.therapist == therapist
    emails = PendingRequest.select(PendingRequest.told_by).where(mine)
    # A domain may name its owner.
    OutboxEmail.update(domain="").where(OutboxEmail.id.in_(emails)).execute()
    PendingRequest.delete().where(mine).execute()
