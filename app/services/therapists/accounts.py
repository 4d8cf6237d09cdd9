"""Therapists' accounts: opening one, its address, its weekly hours, pausing and hiding it."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from peewee import IntegrityError

from app import config
from app.errors import FieldError, InvalidFields
from app.rules import first_steps
from app.rules.first_steps import Step
from app.rules.names import given_name
from app.rules.ranking import TIE_PRIME
from app.rules.weekly_hours import Window as OpenWindow
from app.services import sessions
from app.services.inbound import personal_data
from app.services.ops import acts
from app.services.therapists import feed
from app.store import outbox, queries, suppressions
from app.store.db.database import in_transaction, on_commit
from app.store.db.errors import Key, violated
from app.store.models import Role, Therapist, TherapistPhone, Window

_log = structlog.get_logger("mindsum")


@dataclass(frozen=True, slots=True)
class NewTherapist:
    """What ops enter for a new account; the values are validated, `rate_minor` in minor units."""

    slug: str
    name: str
    email: str
    timezone: str
    rate_minor: int
    windows: Sequence[OpenWindow]
    # Derived from `name` if there is none.
    given_name: str | None = None
    offers_free_consultation: bool = True
    meeting_url: str | None = None
    # For ops; "" for none.
    phone: str = ""
    headline: str = ""
    about: str = ""
    specialisms: str = ""
    qualifications: str = ""
    languages: str = ""


@in_transaction
def add_therapist(new: NewTherapist, now: datetime, *, is_welcomed: bool = False) -> Therapist:
    """Open an account. Raises InvalidFields where the slug or the address is taken.

    `is_welcomed`: the therapist gets the welcome email, and steps to look at on their first day.
    """
    try:
        therapist: Therapist = Therapist.create(
            slug=new.slug,
            name=new.name,
            given_name=new.given_name or given_name(new.name),
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
            qualifications=new.qualifications,
            languages=new.languages,
            # Decides the order of equal scores; a new draw per therapist keeps it fair.
            tie_seed=1 + secrets.randbelow(TIE_PRIME - 1),
            created_at=now,
            first_steps=first_steps.write_steps(_steps_done(new, is_welcomed=is_welcomed)),
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
    replace_phone(therapist, new.phone)
    if is_welcomed:
        email_about_account("welcome", therapist, now)
    return therapist


def _steps_done(new: NewTherapist, *, is_welcomed: bool) -> frozenset[Step]:
    filled_in = first_steps.filled_in(has_hours=bool(new.windows), meeting_url=new.meeting_url)
    return filled_in if is_welcomed else filled_in | first_steps.TO_CONFIRM


def email_about_account(kind: str, therapist: Therapist, now: datetime) -> None:
    """In the caller's transaction."""
    outbox.enqueue(
        kind,
        Role.THERAPIST,
        about=f"therapist-{therapist.id}",
        ordinal=outbox.random_ordinal(),
        therapist=therapist,
        now=now,
    )


def _taken(field: str, value: str) -> InvalidFields:
    return InvalidFields(FieldError(field, f"{value} belongs to another therapist; choose another"))


@in_transaction
def tick_steps(slug: str, *steps: Step) -> None:
    """The therapist has done these steps of the first day. Raises NotFound."""
    therapist = queries.locked_therapist_by_slug(slug)
    therapist.steps_done |= frozenset(steps)
    therapist.save(only=["first_steps"])


@in_transaction
def change_address(slug: str, address: str, now: datetime) -> Therapist:
    """Raises NotFound, or InvalidFields if taken."""
    # A suppression of the new address is lifted.
    therapist = queries.locked_therapist_by_slug(slug)
    has_moved, old = therapist.email_key != queries.email_key(address), therapist.email
    therapist.email, therapist.email_key = address, queries.email_key(address)
    therapist.links_epoch += has_moved
    try:
        therapist.save(only=["email", "email_key", "links_epoch"])
    except IntegrityError as error:
        raise _taken("email", address) from error
    if has_moved:
        # What is in the old mailbox, or was opened from it, must not open the account.
        sessions.end_all_of(therapist, now)
        feed.end_of(therapist, now)
    suppressions.forget(address)
    personal_data.follow_address(old, address, now)
    outbox.restart_queued(therapist, now)
    on_commit(lambda: _log.warning("therapist_address_changed", therapist=slug))
    return therapist


@in_transaction
def declare_reachable(slug: str, now: datetime) -> bool:
    """Ops know that emails arrive again; whether they had not. Raises NotFound."""
    therapist = queries.locked_therapist_by_slug(slug)
    was_unreachable = suppressions.forget(therapist.email)
    if was_unreachable:
        acts.record("reachable", now, therapist=therapist)
        on_commit(lambda: _log.warning("reachable_again", to="therapist", therapist=slug))
    return was_unreachable


def replace_windows(therapist: Therapist, windows: Sequence[OpenWindow]) -> None:
    # In the caller's transaction.
    Window.delete().where(Window.therapist == therapist).execute()
    for window in windows:
        Window.create(
            therapist=therapist,
            weekday=window.weekday,
            start_minute=window.start_minute,
            end_minute=window.end_minute,
        )


def replace_phone(therapist: Therapist, number: str) -> None:
    # In the caller's transaction.
    TherapistPhone.delete().where(TherapistPhone.therapist == therapist).execute()
    if number:
        TherapistPhone.create(therapist=therapist, number=number)


@in_transaction
def pause(slug: str, *, on: bool) -> Therapist:
    return _set_flag(slug, "is_paused", on)


@in_transaction
def hide(slug: str, *, on: bool) -> Therapist:
    return _set_flag(slug, "is_hidden", on)


def _set_flag(slug: str, column: str, on: bool) -> Therapist:
    therapist = queries.locked_therapist_by_slug(slug)
    setattr(therapist, column, on)
    therapist.save(only=[column])
    on_commit(lambda: _log.info("account_changed", therapist=slug, state=str(therapist.state)))
    return therapist
