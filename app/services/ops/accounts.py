"""Therapists' accounts for ops: opening one, and what is on record about it."""

from dataclasses import dataclass
from datetime import datetime

from app.services import availability, sessions
from app.services.ops import acts
from app.services.therapists import accounts
from app.services.therapists.accounts import NewTherapist
from app.store import queries, suppressions
from app.store.db.database import in_transaction
from app.store.models import AccessEntry, StandingEntry, Suppression, Therapist

_ENTRIES_SHOWN = 50


@dataclass(frozen=True, slots=True)
class AccountRecord:
    """What ops sees of an account; `standing` and `access` the newest first."""

    therapist: Therapist
    phone: str | None
    has_hours: bool
    unreachable: Suppression | None
    standing: list[StandingEntry]
    access: list[AccessEntry]


@in_transaction
def open_account(new: NewTherapist, now: datetime, *, is_welcomed: bool) -> Therapist:
    """As `accounts.add_therapist`. Raises InvalidFields."""
    therapist = accounts.add_therapist(new, now, is_welcomed=is_welcomed)
    acts.record("therapist_add", now, therapist=therapist)
    return therapist


def opened_before(new: NewTherapist) -> Therapist | None:
    """The account that a form with the same values has opened."""
    found = queries.therapist_by_email(new.email)
    names = ("slug", "name", "timezone", "rate_minor", "meeting_url", "offers_free_consultation")
    if found is None or any(getattr(found, name) != getattr(new, name) for name in names):
        return None
    has_same_name = new.given_name in (None, found.given_name)
    has_same_phone = (queries.phone_of(found) or "") == new.phone
    has_same_hours = set(availability.windows_of(found)) == set(new.windows)
    return found if has_same_name and has_same_phone and has_same_hours else None


def record_of(slug: str) -> AccountRecord:
    """Raises NotFound."""
    therapist = queries.therapist_by_slug(slug)
    return AccountRecord(
        therapist=therapist,
        phone=queries.phone_of(therapist),
        has_hours=bool(availability.windows_of(therapist)),
        unreachable=suppressions.of_address(therapist.email),
        standing=queries.standing_of(therapist, _ENTRIES_SHOWN),
        access=queries.newest_access(therapist=therapist, limit=_ENTRIES_SHOWN),
    )


@in_transaction
def sign_out(slug: str | None, now: datetime) -> int:
    """As `sessions.end_all`. Raises NotFound."""
    ended = sessions.end_all(slug, now)
    therapist = queries.therapist_by_slug(slug) if slug is not None else None
    acts.record("sign_out" if slug else "sign_out everybody", now, therapist=therapist)
    return ended
