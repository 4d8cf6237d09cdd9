"""Therapists' accounts and their states; and the way in: Sign In links, a client's links again."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from peewee import IntegrityError

from app import config
from app.errors import FieldError, InvalidFields
from app.links import LinkPurpose, LinkToken, holder_of
from app.rules.ranking import TIE_PRIME
from app.rules.weekly_hours import Window as OpenWindow
from app.services.mail.expiry import SIGN_IN_LASTS
from app.store import outbox, queries, requeue, suppressions
from app.store.db.database import in_transaction, on_commit
from app.store.db.errors import Key, violated
from app.store.models import OutboxEmail, OutboxStatus, Role, SignIn, Therapist, Window

_log = structlog.get_logger("mindsum")


@dataclass(frozen=True, slots=True)
class NewTherapist:
    """What ops say of a therapist; the values have been through intake."""

    slug: str
    name: str
    email: str
    timezone: str
    rate_minor: int
    windows: Sequence[OpenWindow]
    offers_free_consultation: bool = True
    meeting_url: str | None = None
    headline: str = ""
    about: str = ""
    specialisms: str = ""


@in_transaction
def add_therapist(new: NewTherapist, now: datetime) -> Therapist:
    """Open an account. Raises InvalidFields where the slug or the address is taken."""
    try:
        therapist: Therapist = Therapist.create(
            slug=new.slug,
            name=new.name,
            email=new.email,
            email_key=queries.email_key(new.email),
            timezone=new.timezone,
            rate_minor=new.rate_minor,
            currency=config.current().currency,
            offers_free_consultation=new.offers_free_consultation,
            meeting_url=new.meeting_url,
            headline=new.headline,
            about=new.about,
            specialisms=new.specialisms,
            tie_seed=1 + secrets.randbelow(TIE_PRIME - 1),
            created_at=now,
        )
    except IntegrityError as error:
        match violated(error):
            case Key.THERAPIST_ADDRESS:
                raise _taken("email", new.email) from error
            case Key.THERAPIST_SLUG:
                raise _taken("slug", new.slug) from error
            case _:
                raise
    replace_windows(therapist, new.windows)
    return therapist


def _taken(field: str, value: str) -> InvalidFields:
    return InvalidFields(FieldError(field, f"{value} belongs to another therapist; choose another"))


@in_transaction
def change_address(slug: str, address: str, now: datetime) -> Therapist:
    """Write to a therapist at another address (as intake gives it), also what waits to be sent.

    Sessions and sign-ins of the old one end; links to enquiries that it was sent go on. The new one
    is tried even where a mail server refused it before. Raises NotFound, and InvalidFields where
    it is taken.
    """
    therapist = queries.locked_therapist(queries.therapist_by_slug(slug).id)
    therapist.email, therapist.email_key = address, queries.email_key(address)
    try:
        therapist.save(only=["email", "email_key"])
    except IntegrityError as error:
        raise _taken("email", address) from error
    unused = (SignIn.therapist == therapist) & SignIn.used_at.is_null()
    SignIn.update(used_at=now).where(unused).execute()
    suppressions.forget(address)
    requeue.begin_anew(therapist, now)
    on_commit(lambda: _log.warning("therapist_address_changed", therapist=slug))
    return therapist


def replace_windows(therapist: Therapist, windows: Sequence[OpenWindow]) -> None:
    """Set a therapist's weekly availability, in the caller's transaction."""
    Window.delete().where(Window.therapist == therapist).execute()
    for window in windows:
        Window.create(
            therapist=therapist,
            weekday=window.weekday,
            start_minute=window.start_minute,
            end_minute=window.end_minute,
        )


@in_transaction
def pause(slug: str, *, on: bool) -> Therapist:
    """Temporarily deactivate, or come back: not listed, no new bookings. Raises NotFound."""
    return _switch(slug, "is_paused", on)


@in_transaction
def hide(slug: str, *, on: bool) -> Therapist:
    """Make the profile invisible, or visible: not listed, bookable by link. Raises NotFound."""
    return _switch(slug, "is_hidden", on)


def _switch(slug: str, column: str, on: bool) -> Therapist:
    therapist = queries.locked_therapist(queries.therapist_by_slug(slug).id)
    setattr(therapist, column, on)
    therapist.save(only=[column])
    on_commit(lambda: _log.info("account_changed", therapist=slug, state=str(therapist.state)))
    return therapist


@in_transaction
def ask_to_sign_in(address: str, next_path: str, now: datetime) -> None:
    """Send a Sign In link if the address is a therapist's; the caller is never told which."""
    therapist = queries.therapist_by_email(address)
    if therapist is None:
        return
    asked = SignIn.create(
        key=secrets.token_urlsafe(16), therapist=therapist, next_path=next_path, created_at=now
    )
    outbox.enqueue(
        "sign_in",
        Role.THERAPIST,
        therapist=therapist,
        about=f"sign-in-{secrets.token_hex(8)}",
        ordinal=outbox.random_ordinal(),
        facts={"key": asked.key},
        now=now,
    )


def sign_in_asked(link: LinkToken, now: datetime) -> SignIn | None:
    """The sign-in that a link opens, or None if it is too old, used or unknown."""
    asked: SignIn | None = SignIn.get_or_none(SignIn.key == link.subject)
    if asked is None or asked.used_at is not None:
        return None
    if link.holder != holder_of(
        LinkPurpose.SIGN_IN, client_id=None, therapist_id=asked.therapist_id
    ):
        return None
    return None if now - link.minted_at >= SIGN_IN_LASTS else asked


@in_transaction
def sign_in(link: LinkToken, now: datetime) -> SignIn | None:
    """Use the link's sign-in, once; None if it is too old, used or unknown."""
    asked = sign_in_asked(link, now)
    if asked is None:
        return None
    used = (
        SignIn.update(used_at=now).where(SignIn.id == asked.id, SignIn.used_at.is_null()).execute()
    )
    return asked if used else None


@in_transaction
def send_links(address: str, now: datetime) -> None:
    """Send a client their Manage Booking links, if any; the caller is never told which."""
    client = queries.locked_client(address)
    if client is None or not queries.live_bookings_of_client(client, now):
        return
    about = f"links-{client.id}"
    is_queued = (OutboxEmail.about == about) & (OutboxEmail.status == OutboxStatus.QUEUED)
    if OutboxEmail.select().where(is_queued).exists():
        return
    outbox.enqueue(
        "your_links",
        Role.CLIENT,
        client=client,
        about=about,
        ordinal=outbox.random_ordinal(),
        now=now,
    )
