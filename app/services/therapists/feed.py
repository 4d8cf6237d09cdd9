"""A therapist's calendar feed: its private address, made, replaced and ended; what it holds."""

import secrets
from datetime import datetime, timedelta
from hashlib import sha256

from app import config
from app.errors import NotesKeyWrong, StoredTextMoved
from app.services import access_trail
from app.services.access_trail import Access
from app.store import queries
from app.store.db.database import in_transaction
from app.store.models import AccessEvent, CalendarFeed, Therapist
from app.store.queries import feeds
from emails import calendar_feed
from emails.calendar_feed import FeedEntry

PAST_SHOWN = timedelta(days=30)
# Far more than a therapist can have; bounds the answer.
_MOST_ENTRIES = 20_000
# Longer ones are none of ours.
_MAX_SECRET_LENGTH = 100


@in_transaction
def start(slug: str, now: datetime) -> CalendarFeed:
    """Turn the feed on, or give it another address: the old one ends. Raises NotFound."""
    therapist = queries.locked_therapist_by_slug(slug)
    before, secret = feeds.feed_of(therapist), secrets.token_urlsafe(32)
    CalendarFeed.delete().where(CalendarFeed.therapist == therapist).execute()
    made: CalendarFeed = CalendarFeed.create(
        therapist=therapist,
        secret_hash=_hash(secret),
        secret=secret,
        shows_names=before.shows_names if before else True,
        created_at=now,
    )
    access_trail.record(Access(AccessEvent.FEED_STARTED, therapist=therapist), now)
    return made


@in_transaction
def end(slug: str, now: datetime) -> None:
    """Raises NotFound."""
    end_of(queries.locked_therapist_by_slug(slug), now)


def end_of(therapist: Therapist, now: datetime) -> None:
    # In the caller's transaction.
    if CalendarFeed.delete().where(CalendarFeed.therapist == therapist).execute():
        access_trail.record(Access(AccessEvent.FEED_ENDED, therapist=therapist), now)


@in_transaction
def show_names(slug: str, *, on: bool) -> None:
    """Raises NotFound."""
    therapist = queries.locked_therapist_by_slug(slug)
    CalendarFeed.update(shows_names=on).where(CalendarFeed.therapist == therapist).execute()


def find(secret: str) -> CalendarFeed | None:
    """With its therapist."""
    if len(secret) > _MAX_SECRET_LENGTH:
        return None
    return feeds.feed_by_secret_hash(_hash(secret))


def address(feed: CalendarFeed) -> str | None:
    """None if no key of NOTES_KEY opens it any more: then a new address is needed."""
    try:
        return f"{config.current().public_url}/calendar/{feed.secret}.ics"
    except (NotesKeyWrong, StoredTextMoved):
        return None


def content(feed: CalendarFeed, now: datetime) -> bytes:
    """Sessions and open enquiries; the same bytes until one of them changes."""
    therapist, site = feed.therapist, config.current().public_url
    # A whole day, so that time alone changes it once a day at most.
    since = (now - PAST_SHOWN).replace(hour=0, minute=0, second=0, microsecond=0)
    return calendar_feed.feed(
        (
            FeedEntry(
                **row._asdict(),
                url=f"{site}/dashboard/sessions/{row.reference}",
                meeting_url=therapist.meeting_url,
            )
            for row in feeds.feed_rows(therapist, since, now, _MOST_ENTRIES)
        ),
        shows_names=feed.shows_names,
    )


def _hash(secret: str) -> str:
    return sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
