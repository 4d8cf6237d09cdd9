"""A therapist who leaves: exporting what is held on them, and erasing it."""

import secrets
from base64 import b64encode
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from peewee import ModelSelect

from app.errors import FieldError, InvalidFields
from app.rules.lifecycle import LIVE, Actor, Move, Status, Via
from app.rules.search_key import search_key
from app.rules.weekly_hours import format_windows
from app.services import access_trail, availability, exports, limits
from app.services.access_trail import Access
from app.services.bookings import cancel, transitions
from app.services.inbound import personal_data
from app.services.mail import private_words
from app.services.mail.erase import erase_emails
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
    Purpose,
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
from app.store.queries import earnings, feeds, photos

# What clients and ops read in the place of the name.
NAME = "Former therapist"
# Of a timeline's facts, those that are about the person.
_PERSONAL_FACTS = ("therapist_given_name", "therapist_timezone")
_BY_THEM = (Purpose.MESSAGE, Purpose.REASON, Purpose.PRIVATE_NOTE)


def export(slug: str, now: datetime) -> dict[str, Any]:
    """Everything held on a therapist, as JSON values, without what clients wrote. Raises NotFound.

    Raises StoreUnavailable too where the access trail cannot record it.
    """
    therapist = queries.therapist_by_slug(slug)
    record = Access(AccessEvent.EXPORTED, therapist=therapist, about="therapist")
    access_trail.record_required(record, now)
    bookings = Booking.select().where(Booking.therapist == therapist).order_by(Booking.id)
    return {
        **_account(therapist),
        "time_off": [
            {"starts_at": each.starts_at.isoformat(), "ends_at": each.ends_at.isoformat()}
            for each in _rows(TimeOff, therapist)
        ],
        "standing": [
            {
                "at": each.at.isoformat(),
                "event": each.event,
                "streak": each.streak,
                "reason": each.reason,
            }
            for each in _rows(StandingEntry, therapist)
        ],
        "sessions": [
            {"browser": each.browser, "at": each.created_at.isoformat()}
            for each in queries.sessions_that_last(therapist, now)
        ],
        "bookings": [_booking(each) for each in bookings],
        "emails": exports.emails(
            (OutboxEmail.therapist == therapist) & (OutboxEmail.role == Role.THERAPIST)
        ),
        "sent_to_us": personal_data.export(therapist),
        "access": [exports.access(each) for each in queries.access_of_therapist(therapist)],
    }


def _rows(table: type[TimeOff | StandingEntry], therapist: Therapist) -> Iterator[Any]:
    return iter(table.select().where(table.therapist == therapist).order_by(table.id))


def _account(therapist: Therapist) -> dict[str, Any]:
    unreachable, calendar = suppressions.of_address(therapist.email), feeds.feed_of(therapist)
    return {
        "slug": therapist.slug,
        "name": therapist.name,
        "given_name": therapist.given_name,
        "email": therapist.email,
        "phone": queries.phone_of(therapist),
        "timezone": therapist.timezone,
        "since": therapist.created_at.isoformat(),
        "account": str(therapist.state),
        "flagged": therapist.is_flagged,
        "streak": therapist.streak,
        "score": float(therapist.shown_score),
        "rate_minor": therapist.rate_minor,
        "currency": therapist.currency,
        "offers_free_consultation": therapist.offers_free_consultation,
        "meeting_url": therapist.meeting_url,
        "headline": therapist.headline,
        "about": therapist.about,
        "specialisms": therapist.specialisms,
        "qualifications": therapist.qualifications,
        "languages": therapist.languages,
        "available": format_windows(availability.windows_of(therapist)),
        "photo": _photo(therapist),
        "calendar_feed_since": calendar and calendar.created_at.isoformat(),
        "no_emails_because": unreachable.reason if unreachable else None,
    }


def _photo(therapist: Therapist) -> dict[str, str] | None:
    photo = photos.photo_of(therapist)
    if photo is None:
        return None
    return {
        "uploaded_at": photo.uploaded_at.isoformat(),
        "type": "image/webp",
        "base64": b64encode(photo.large).decode(),
    }


def _booking(booking: Booking) -> dict[str, Any]:
    # Of the client only what their own pages call them; what clients wrote is the clients'.
    written = [
        each for each in queries.writings_of(booking, *_BY_THEM) if each.author is Actor.THERAPIST
    ]
    return {
        "reference": booking.reference,
        "client": booking.client_given_name,
        **exports.booking(booking, Role.THERAPIST, written),
    }


@in_transaction
def erase(slug: str, now: datetime, *, ends_live_bookings: bool = False) -> int:
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
    erase_emails(about, Role.THERAPIST, now)
    private_words.remove_from_refusals(private_words.of_therapist(therapist))
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
        name=NAME,
        given_name=NAME,
        name_search=search_key(NAME),
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
