"""Photos of therapists whose page is open to visitors."""

from typing import Any

from peewee import BlobField

from app.store.db.statements import Statement
from app.store.models import Therapist, TherapistPhoto


def _shown(column: BlobField) -> Statement[tuple[Any]]:
    return Statement(
        lambda key: (
            TherapistPhoto.select(column)
            .join(Therapist)
            .where(
                TherapistPhoto.key == key,
                Therapist.deactivated_at.is_null(),
                ~Therapist.is_paused,
            )
            .tuples()
        )
    )


_SMALL, _LARGE = _shown(TherapistPhoto.small), _shown(TherapistPhoto.large)


def shown_photo(key: str, *, is_large: bool) -> bytes | None:
    """Of a therapist who takes bookings."""
    row = (_LARGE if is_large else _SMALL).first(key)
    return None if row is None else bytes(row[0])


def photo_of(therapist: Therapist) -> TherapistPhoto | None:
    found: TherapistPhoto | None = TherapistPhoto.get_or_none(TherapistPhoto.therapist == therapist)
    return found
