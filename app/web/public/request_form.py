"""The request form: what a client types, checked by intake field by field."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from flask_wtf import FlaskForm
from wtforms import EmailField, Field, RadioField, StringField, TextAreaField, ValidationError

from app.errors import InvalidFields
from app.rules.lifecycle import Kind
from app.services import validation
from app.services.bookings.request import BookingRequest


def _start(value: str) -> datetime:
    try:
        return validation.instant(value)
    except ValueError:
        raise ValueError("Please choose one of the open times.") from None


def _kind(value: str) -> str:
    if value not in set(Kind):
        raise ValueError("Please choose what kind of session you would like.")
    return value


class Checked:
    """A validator that hands the value to one of intake's checks and keeps what comes back."""

    def __init__(self, check: Callable[[str], Any]) -> None:
        self._check = check

    def __call__(self, _form: FlaskForm, field: Field) -> None:
        """Raises ValidationError with the check's own words."""
        try:
            field.checked = self._check(field.data or "")
        except ValueError as error:
            raise ValidationError(str(error)) from None


class RequestForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF ships no types
    """Asks a therapist for a session; the labels are what people read."""

    starts_at = StringField("Time", [Checked(_start)])
    kind = RadioField("Kind of session", [Checked(_kind)], validate_choice=False)
    name = StringField("Your name", [Checked(validation.name)])
    email = EmailField("Your email address", [Checked(validation.email)])
    timezone = StringField("Your time zone", [Checked(validation.timezone)])
    note = TextAreaField("A note to the therapist (optional)", [Checked(validation.text)])

    @property
    def is_stale(self) -> bool:
        """Whether the page was open for too long, or came without its cookie."""
        return bool(self.csrf_token.errors)

    def to_request(self, slug: str) -> BookingRequest:
        """What the form asks for, once it has been validated."""
        return BookingRequest(
            therapist=slug,
            name=self.name.checked,
            email=self.email.checked,
            timezone=self.timezone.checked,
            starts_at=self.starts_at.checked,
            kind=Kind(self.kind.checked),
            note=self.note.checked,
        )

    def add_errors(self, refusal: InvalidFields) -> None:
        """Show what a use case refused beside the fields that it names."""
        for error in refusal.errors:
            field = self[error.field]
            field.errors = [*field.errors, error.message]
