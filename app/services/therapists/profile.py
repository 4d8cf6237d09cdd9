"""Profile Settings: profile fields, weekly hours and time off."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from app.errors import FieldError, InvalidFields, NotFound
from app.rules import first_steps
from app.rules.weekly_hours import Window as OpenWindow
from app.services.bookings import meeting_link
from app.services.therapists import accounts
from app.store import queries
from app.store.db.database import in_transaction
from app.store.models import Therapist, TimeOff
from app.store.queries import earnings

# Columns of Therapist. Bookings that exist keep their price and their times.
EDITABLE = frozenset(
    {
        "name",
        "given_name",
        "timezone",
        "rate_minor",
        "offers_free_consultation",
        "meeting_url",
        "headline",
        "about",
        "specialisms",
        "qualifications",
        "languages",
        "is_paused",
        "is_hidden",
    }
)


@dataclass(frozen=True, slots=True)
class Away:
    """Aware UTC."""

    starts_at: datetime
    ends_at: datetime


@in_transaction
def update(slug: str, changes: Mapping[str, object], now: datetime) -> Therapist:
    """Set columns to validated values; a new meeting link is told to those who need it.

    Raises NotFound, and InvalidFields unless EDITABLE.
    """
    unknown = sorted(set(changes) - EDITABLE)
    if unknown:
        raise InvalidFields(*(FieldError(name, "cannot be changed here") for name in unknown))
    therapist = queries.locked_therapist_by_slug(slug)
    old_link, old_zone = therapist.meeting_url, therapist.timezone
    for name, value in changes.items():
        setattr(therapist, name, value)
    _note_steps(therapist, has_hours=False)
    therapist.save()
    if therapist.timezone != old_zone:
        earnings.recount(therapist)
    if therapist.meeting_url != old_link:
        meeting_link.announce(therapist, now)
    return therapist


@in_transaction
def change(
    slug: str,
    changes: Mapping[str, object],
    now: datetime,
    *,
    address: str | None = None,
    windows: Sequence[OpenWindow] | None = None,
    phone: str | None = None,
) -> Therapist:
    """`update`, a new address, hours and phone (or "") at once. Raises NotFound, InvalidFields."""
    if address is not None:
        accounts.change_address(slug, address, now)
    if windows is not None:
        set_hours(slug, windows)
    if phone is not None:
        accounts.replace_phone(queries.locked_therapist_by_slug(slug), phone)
    return update(slug, changes, now)


@in_transaction
def set_hours(slug: str, windows: Sequence[OpenWindow]) -> None:
    """Booked sessions stay. Raises NotFound."""
    therapist = queries.locked_therapist_by_slug(slug)
    accounts.replace_windows(therapist, windows)
    _note_steps(therapist, has_hours=bool(windows))
    therapist.save()


def _note_steps(therapist: Therapist, *, has_hours: bool) -> None:
    done = first_steps.filled_in(has_hours=has_hours, meeting_url=therapist.meeting_url)
    if done - therapist.steps_done:
        therapist.steps_done |= done


@in_transaction
def add_time_off(slug: str, away: Away, now: datetime) -> TimeOff:
    """Sessions booked in it stay. Raises NotFound, InvalidFields."""
    if away.ends_at <= away.starts_at:
        raise InvalidFields(FieldError("ends_at", "Please choose an end after the start."))
    if away.ends_at <= now:
        raise InvalidFields(FieldError("ends_at", "Please choose an end that is still ahead."))
    therapist = queries.locked_therapist_by_slug(slug)
    # The button pressed twice adds it once.
    same = TimeOff.get_or_none(
        TimeOff.therapist == therapist,
        TimeOff.starts_at == away.starts_at,
        TimeOff.ends_at == away.ends_at,
    )
    if same is not None:
        return same
    added: TimeOff = TimeOff.create(
        therapist=therapist, starts_at=away.starts_at, ends_at=away.ends_at
    )
    return added


@in_transaction
def remove_time_off(slug: str, time_off_id: int) -> None:
    """Raises NotFound where it is not this therapist's."""
    therapist = queries.locked_therapist_by_slug(slug)
    removed = (
        TimeOff.delete().where(TimeOff.id == time_off_id, TimeOff.therapist == therapist).execute()
    )
    if not removed:
        raise NotFound("time off")
