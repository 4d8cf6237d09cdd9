"""Therapists: finding one, locking them, which are due, their time off."""

from collections.abc import Iterable
from datetime import datetime
from functools import cache

from peewee import Field

from app.errors import NotFound
from app.store.db.database import is_sqlite
from app.store.db.statements import Statement
from app.store.models import Therapist, TherapistPhone, TimeOff, email_key
from app.store.queries.locking import locking

_BY_SLUG = Statement[Therapist](lambda slug: Therapist.select().where(Therapist.slug == slug))
_BY_ID = Statement[Therapist](lambda wanted: Therapist.select().where(Therapist.id == wanted))
_LOCKED_BY_SLUG = Statement[Therapist](
    lambda slug: locking(Therapist.select().where(Therapist.slug == slug))
)
_LOCKED_BY_ID = Statement[Therapist](
    lambda wanted: locking(Therapist.select().where(Therapist.id == wanted))
)
# In the order of their ids, which rules out deadlocks.
_LOCK = Statement[Therapist](
    lambda ids: locking(
        Therapist.select(Therapist.id).where(Therapist.id.in_(ids)).order_by(Therapist.id)
    )
)


def therapist_by_slug(slug: str) -> Therapist:
    """Raises NotFound, for one who was erased too."""
    therapist = _BY_SLUG.first(slug)
    if therapist is None or therapist.is_erased:
        raise NotFound("therapist")
    return therapist


def therapist_by_id(therapist_id: int) -> Therapist:
    """Raises NotFound."""
    therapist = _BY_ID.first(therapist_id)
    if therapist is None:
        raise NotFound("therapist")
    return therapist


def therapist_by_email(address: str) -> Therapist | None:
    therapist: Therapist | None = Therapist.get_or_none(Therapist.email_key == email_key(address))
    return therapist


def phone_of(therapist: Therapist) -> str | None:
    row = TherapistPhone.get_or_none(TherapistPhone.therapist == therapist)
    return row.number if row else None


def has_phone(therapist: Therapist) -> bool:
    # Without decrypting it.
    return bool(TherapistPhone.select().where(TherapistPhone.therapist == therapist).exists())


def every_therapist() -> list[Therapist]:
    """Without those who were erased."""
    return [each for each in Therapist.select().order_by(Therapist.slug) if not each.is_erased]


def locked_therapist(therapist_id: int) -> Therapist:
    """The row is the lock on all their bookings until the commit. Raises NotFound."""
    # Every use case that writes takes this lock first, which rules out deadlocks.
    therapist = _LOCKED_BY_ID.first(therapist_id)
    if therapist is None:
        raise NotFound("therapist")
    return therapist


def locked_therapist_by_slug(slug: str) -> Therapist:
    """As `locked_therapist`. Raises NotFound."""
    therapist = _LOCKED_BY_SLUG.first(slug)
    if therapist is None or therapist.is_erased:
        raise NotFound("therapist")
    return therapist


def lock_therapists(therapist_ids: Iterable[int]) -> None:
    # On SQLite the write transaction is the lock.
    if not is_sqlite():
        _LOCK.all(list(set(therapist_ids)))


_LOCKED_IF_FREE = Statement[Therapist](
    lambda wanted: locking(
        Therapist.select(Therapist.id).where(Therapist.id == wanted), skip_locked=True
    )
)


def lock_therapist_if_free(therapist_id: int) -> bool:
    return _LOCKED_IF_FREE.first(therapist_id) is not None


@cache
def _due(due_at: str) -> Statement[Therapist]:
    column = Therapist._meta.fields[due_at]
    return Statement(
        lambda now, except_ids, limit: (
            Therapist.select(Therapist.id, Therapist.slug, column)
            .where((column <= now) & Therapist.id.not_in(except_ids))
            .order_by(column)
            .limit(limit)
        )
    )


def therapists_due(
    due_at: Field, now: datetime, limit: int, except_ids: list[int]
) -> list[Therapist]:
    """Therapists whose `due_at` (a column) has come, the most overdue first."""
    return _due(due_at.name).all(now, except_ids, limit)


def times_off_of(therapist: Therapist, now: datetime, limit: int) -> list[TimeOff]:
    current = TimeOff.select().where(TimeOff.therapist == therapist, TimeOff.ends_at > now)
    return list(current.order_by(TimeOff.starts_at).limit(limit))
