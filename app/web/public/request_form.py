"""The form in which a visitor asks a therapist for a session."""

import hashlib
import json
import re
import secrets
from datetime import date, datetime

from flask import request
from flask_wtf.csrf import generate_csrf
from werkzeug.datastructures import MultiDict
from wtforms import EmailField, Field, HiddenField, RadioField, StringField, TextAreaField
from wtforms.validators import Optional

from app.rules.lifecycle import Kind
from app.services import validation
from app.services.bookings.request import BookingRequest
from app.store.models import Therapist
from app.web.forms import Checked, SiteForm, check_zone, require_given_name

# They stand in a kept page for what is each visitor's own.
_TOKEN, _KEY = secrets.token_hex(16), secrets.token_hex(16)
_MARKS = re.compile(f"({_TOKEN}|{_KEY})".encode())


def _start(value: str) -> datetime:
    try:
        return validation.instant(value)
    except ValueError:
        raise ValueError("Please choose one of the open times.") from None


def _kind(value: str) -> str:
    if value not in set(Kind):
        raise ValueError("Please choose a kind of session.")
    return value


def asks_for_times() -> bool:
    """Whether other times are to be shown, with nothing checked and nothing requested.

    Enter in a field presses the form's first button, which names the kind and time zone that the
    page was made for. A visitor who has changed one of them wants to see its times.
    """
    sent = request.form
    here = f"{sent.get('kind', '')} {sent.get('timezone', '')}"
    return "show" in sent or "place" in sent or sent.get("enter", here) != here


def days_asked_for() -> date | None:
    """The first day that the pressed button names, or else the first that the page showed."""
    for name in ("show", "from"):
        try:
            return validation.day(request.form.get(name, ""))
        except ValueError:
            continue
    return None


def split_at_marks(page: str) -> list[bytes]:
    """A page split at its placeholders, for `with_own_values`."""
    return _MARKS.split(page.encode())


def with_own_values(parts: list[bytes]) -> bytes:
    """A kept page with a form, for the visitor who asks for it now."""
    own = {_TOKEN.encode(): generate_csrf().encode(), _KEY.encode(): _new_key().encode()}
    return b"".join([own.get(part, part) for part in parts])


def _new_key() -> str:
    return secrets.token_urlsafe(16)


class RequestForm(SiteForm):
    class Meta(SiteForm.Meta):
        def wrap_formdata(self, form: SiteForm, formdata: object) -> MultiDict[str, str] | None:
            sent = super().wrap_formdata(form, formdata)
            if sent is None or "place" not in sent:
                return sent
            # A button names the zone that the words in the field mean.
            changed = MultiDict(sent)
            changed["timezone"] = sent["place"]
            return changed

    starts_at = StringField("Time", [Checked(_start)])
    kind = RadioField("Kind of session", [Checked(_kind)], validate_choice=False)
    name = StringField("Your name", [Checked(validation.name)])
    given_name = StringField("What we call you (optional)", [Checked(validation.given_name)])
    email = EmailField("Your email address", [Checked(validation.email)])
    timezone = StringField("Your time zone", [Optional(), check_zone])
    note = TextAreaField("A note to the therapist (optional)", [Checked(validation.text)])
    # Another for each time that the form is shown.
    form_key = HiddenField(default=_new_key)

    def validate_given_name(self, field: Field) -> None:
        require_given_name(self.name, field)

    @property
    def key(self) -> str:
        """Of this form as it was shown, with this content; its CSRF token keeps it secret."""
        sent = json.dumps(sorted(request.form.items(multi=True)))
        return hashlib.sha256(sent.encode()).hexdigest()

    def put_marks(self) -> None:
        """In the place of what `with_own_values` puts in."""
        self.csrf_token.current_token, self.form_key.data = _TOKEN, _KEY

    @property
    def zone(self) -> str | None:
        """The visitor's, if they gave one."""
        zone: str | None = getattr(self.timezone, "checked", None)
        return zone

    @property
    def is_stale(self) -> bool:
        """Whether the CSRF token was too old or came without its cookie."""
        return bool(self.csrf_token.errors)

    def to_request(self, therapist: Therapist) -> BookingRequest:
        return BookingRequest(
            therapist=therapist.slug,
            name=self.name.checked,
            given_name=self.given_name.checked,
            email=self.email.checked,
            # Left empty, it is the one that the page said it shows.
            timezone=self.zone or therapist.timezone,
            starts_at=self.starts_at.checked,
            kind=Kind(self.kind.checked),
            note=self.note.checked,
        )
