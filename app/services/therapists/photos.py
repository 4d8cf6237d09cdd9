"""A therapist's photo: replaced, removed, and shown to visitors."""

from datetime import datetime
from hashlib import sha256

import structlog

from app.errors import FieldError, InvalidFields
from app.services.therapists import photo_file
from app.services.therapists.photo_file import Squares
from app.store import queries
from app.store.db.database import in_transaction, on_commit
from app.store.models import Therapist, TherapistPhoto

_log = structlog.get_logger("mindsum")


def replace(slug: str, content: bytes, now: datetime) -> None:
    """Take an uploaded file as the photo. Raises NotFound, InvalidFields."""
    try:
        squares = photo_file.square(content)
    except ValueError as error:
        raise InvalidFields(FieldError("photo", str(error))) from None
    _store(slug, squares, now)


@in_transaction
def _store(slug: str, squares: Squares, now: datetime) -> None:
    therapist = queries.locked_therapist_by_slug(slug)
    # Two therapists may upload the same picture.
    key = sha256(b"%d:%b" % (therapist.id, squares.large)).hexdigest()[:32]
    _replace_row(therapist, key)
    TherapistPhoto.create(
        therapist=therapist, key=key, small=squares.small, large=squares.large, uploaded_at=now
    )


@in_transaction
def remove(slug: str) -> None:
    """Raises NotFound."""
    _replace_row(queries.locked_therapist_by_slug(slug), None)


def _replace_row(therapist: Therapist, key: str | None) -> None:
    TherapistPhoto.delete().where(TherapistPhoto.therapist == therapist).execute()
    therapist.photo_key = key
    therapist.save(only=["photo_key"])
    slug = therapist.slug
    on_commit(lambda: _log.info("photo_changed", therapist=slug, has_photo=key is not None))
