"""The forms of Profile Settings: what therapists type, checked field by field and kept."""

import re
from collections.abc import Callable
from datetime import date, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask_wtf import FlaskForm
from wtforms import BooleanField, Field, StringField, TextAreaField, ValidationError

from app import clock
from app.errors import InvalidFields
from app.rules import weekly_hours
from app.rules.weekly_hours import Window
from app.services import validation
from app.services.therapists.profile import Away
from app.web.public.request_form import Checked
from emails import formatting

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
HEADLINE_LENGTH, SPECIALISMS_LENGTH, ADDRESS_LENGTH = 200, 500, 500
_FARTHEST = timedelta(days=5 * 365)
_CLOCK = r"([0-9]{1,2})(?:[:.]([0-9]{2}))?"
_HOURS = re.compile(rf"{_CLOCK}\s*(?:-|–|—|to|until)\s*{_CLOCK}", re.IGNORECASE)
_TIME = re.compile(r"([0-9]{1,2}):([0-9]{2})")


def _headline(value: str) -> str:
    return validation.line(value, HEADLINE_LENGTH)


def _specialisms(value: str) -> str:
    parts = (part.strip() for part in validation.line(value, SPECIALISMS_LENGTH).split(","))
    return ", ".join(dict.fromkeys(part for part in parts if part))


def _meeting_url(value: str) -> str | None:
    if not value.strip():
        return None
    if len(value.strip()) > ADDRESS_LENGTH:
        raise ValueError(f"Please give an address of {ADDRESS_LENGTH} characters or fewer.")
    return validation.web_address(value)


def _hours_of(weekday: int) -> Callable[[str], tuple[Window, ...]]:
    def check(value: str) -> tuple[Window, ...]:
        parts = [part.strip() for part in re.split(r",|;|\band\b", value) if part.strip()]
        return weekly_hours.checked(_window(weekday, part) for part in parts)

    return check


def _window(weekday: int, part: str) -> Window:
    found = _HOURS.fullmatch(part)
    if found is None:
        raise ValueError(f"“{part}” is not a span of hours: write it like 09:00-12:30.")
    minutes = [int(found[at]) * 60 + int(found[at + 1] or 0) for at in (1, 3)]
    if any(int(found[at] or 0) > 59 for at in (2, 4)):
        raise ValueError(f"“{part}” is not a span of hours: write it like 09:00-12:30.")
    return Window(weekday, *minutes)


def _day(value: str) -> date:
    try:
        day = validation.day(value)
    except ValueError:
        raise ValueError("Please give a day such as 2026-12-24.") from None
    today = clock.now().date()
    if abs(day - today) > _FARTHEST:
        raise ValueError("Please give a day within five years.")
    return day


def _time(value: str) -> time | None:
    if not value.strip():
        return None
    found = _TIME.fullmatch(value.strip())
    try:
        return time(int(found[1]), int(found[2])) if found else time(99)
    except ValueError:
        raise ValueError("Please give a time such as 09:30, or leave it empty.") from None


class SettingsForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF ships no types
    """A form of the dashboard, whose guard has checked its token already."""

    class Meta:
        csrf = False

    def add_error(self, name: str, message: str) -> None:
        """Show what was refused beside the field that it is about."""
        self[name].errors = [*self[name].errors, message]


class AboutForm(SettingsForm):
    """What clients read of the therapist."""

    name = StringField("Your name", [Checked(validation.name)])
    headline = StringField("Headline", [Checked(_headline)])
    about = TextAreaField("About you", [Checked(validation.text)])
    specialisms = StringField("Specialisms", [Checked(_specialisms)])

    def changes(self) -> dict[str, Any]:
        """The columns to change, once the form has been validated."""
        return {field.name: field.checked for field in self}


class OfferForm(SettingsForm):
    """What a session costs, where it is held, and in which zone."""

    rate = StringField("Rate for one session")
    offers_free_consultation = BooleanField("I offer a free initial consultation")
    timezone = StringField("Your time zone", [Checked(validation.timezone)])
    meeting_url = StringField("Meeting link", [Checked(_meeting_url)])
    currency = ""

    def validate_rate(self, field: Field) -> None:
        """Raises ValidationError unless it is an amount above zero in the therapist's currency."""
        example = f"Please give an amount in {self.currency} above zero, such as"
        digits = formatting.minor_digits(self.currency)
        try:
            field.checked = validation.amount(field.data or "", self.currency)
        except ValueError:
            raise ValidationError(f"{example} {60:.{digits}f}.") from None
        if not field.checked:
            raise ValidationError(f"{example} {60:.{digits}f}.")

    def changes(self) -> dict[str, Any]:
        """The columns to change, once the form has been validated."""
        return {
            "rate_minor": self.rate.checked,
            "offers_free_consultation": bool(self.offers_free_consultation.data),
            "timezone": self.timezone.checked,
            "meeting_url": self.meeting_url.checked,
        }


class HoursForm(SettingsForm):
    """The weekly availability, a row for every weekday."""

    monday = StringField("Monday", [Checked(_hours_of(0))])
    tuesday = StringField("Tuesday", [Checked(_hours_of(1))])
    wednesday = StringField("Wednesday", [Checked(_hours_of(2))])
    thursday = StringField("Thursday", [Checked(_hours_of(3))])
    friday = StringField("Friday", [Checked(_hours_of(4))])
    saturday = StringField("Saturday", [Checked(_hours_of(5))])
    sunday = StringField("Sunday", [Checked(_hours_of(6))])

    def windows(self) -> list[Window]:
        """The week that was typed, once the form has been validated."""
        return [window for field in self for window in field.checked]


class AwayForm(SettingsForm):
    """Time off, from a local day and time to another."""

    first_on = StringField("First day", [Checked(_day)])
    from_at = StringField("From (optional)", [Checked(_time)])
    last_on = StringField("Last day", [Checked(_day)])
    until_at = StringField("Until (optional)", [Checked(_time)])

    def away(self, zone: ZoneInfo) -> Away | None:
        """The span that was typed; None, with a field to blame, where clocks skip its end."""
        ends = {"from_at": self.first_on.checked, "until_at": self.last_on.checked}
        found = []
        for name, day in ends.items():
            at = self[name].checked
            whole = day + timedelta(days=1) if name == "until_at" else day
            try:
                found.append(
                    weekly_hours.day_starts_at(whole, zone)
                    if at is None
                    else weekly_hours.local_instant(day, at, zone)
                )
            except ValueError as error:
                self.add_error(name, str(error))
        return None if self.errors else Away(*found)

    def refuse(self, refusal: InvalidFields) -> None:
        """Show what the use case refused beside the end of the span that it is about."""
        for error in refusal.errors:
            self.add_error("last_on", error.message)
