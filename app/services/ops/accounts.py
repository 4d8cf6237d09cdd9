"""Therapists' accounts for ops: opening and changing one, and what is on record about it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from app.rules.weekly_hours import Window
from app.services import availability, sessions
from app.services.inbound import revoke
from app.services.ops import acts
from app.services.therapists import accounts, profile
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


@in_transaction
def pause(slug: str, now: datetime, *, on: bool) -> Therapist:
    """Raises NotFound."""
    therapist = accounts.pause(slug, on=on)
    acts.record("pause" if on else "pause_end", now, therapist=therapist)
    return therapist


@in_transaction
def hide(slug: str, now: datetime, *, on: bool) -> Therapist:
    """Raises NotFound."""
    therapist = accounts.hide(slug, on=on)
    acts.record("hide" if on else "hide_end", now, therapist=therapist)
    return therapist


@in_transaction
def change_address(slug: str, address: str, now: datetime) -> Therapist:
    """As `accounts.change_address`. Raises NotFound, InvalidFields."""
    therapist = accounts.change_address(slug, address, now)
    acts.record("therapist_address", now, therapist=therapist)
    return therapist


@in_transaction
def change(
    slug: str,
    changes: Mapping[str, object],
    now: datetime,
    *,
    address: str | None = None,
    windows: Sequence[Window] | None = None,
    phone: str | None = None,
) -> Therapist:
    """As `profile.change`. Raises NotFound, InvalidFields."""
    therapist = profile.change(slug, changes, now, address=address, windows=windows, phone=phone)
    others = {"email": address, "available": windows, "phone": phone}
    names = [*changes, *(name for name, value in others.items() if value is not None)]
    acts.record(f"therapist_set {' '.join(names)}", now, therapist=therapist)
    return therapist


@in_transaction
def revoke_addresses(slug: str, now: datetime) -> Therapist:
    """As `revoke.of_therapist`. Raises NotFound."""
    therapist = revoke.of_therapist(slug)
    acts.record("revoke_addresses", now, therapist=therapist)
    return therapist
