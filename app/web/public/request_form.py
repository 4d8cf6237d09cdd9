"""The form in which a visitor asks a therapist for a session."""

from datetime import datetime

from wtforms import EmailField, RadioField, StringField, TextAreaField

from app.rules.lifecycle import Kind
from app.services import validation
from app.services.bookings.request import BookingRequest
from app.web.forms import Checked, SiteForm


def _start(value: str) -> datetime:
    try:
        return validation.instant(value)
    except ValueError:
        raise ValueError("Please choose one of the open times.") from None


def _kind(value: str) -> str:
    if value not in set(Kind):
        raise ValueError("Please choose a kind of session.")
    return value


class RequestForm(SiteForm):
    starts_at = StringField("Time", [Checked(_start)])
    kind = RadioField("Kind of session", [Checked(_kind)], validate_choice=False)
    name = StringField("Your name", [Checked(validation.name)])
    email = EmailField("Your email address", [Checked(validation.email)])
    timezone = StringField("Your time zone", [Checked(validation.timezone)])
    note = TextAreaField("A note to the therapist (optional)", [Checked(validation.text)])

    @property
    def is_stale(self) -> bool:
        """Whether the CSRF token was too old or came without its cookie."""
        return bool(self.csrf_token.errors)

    def to_request(self, slug: str) -> BookingRequest:
        return BookingRequest(
            therapist=slug,
            name=self.name.checked,
            email=self.email.checked,
            timezone=self.timezone.checked,
            starts_at=self.starts_at.checked,
            kind=Kind(self.kind.checked),
            note=self.note.checked,
        )
