"""The forms of Profile Settings; call a form's other methods after `validate`."""

import hashlib
import json
import re
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from itertools import zip_longest
from typing import Any
from zoneinfo import ZoneInfo

from wtforms import BooleanField, Field, StringField, TextAreaField, ValidationError
from wtforms.utils import unset_value

from app import clock
from app.rules import weekly_hours
from app.rules.names import given_name
from app.rules.weekly_hours import Window
from app.services import validation
from app.services.therapists.profile import Away
from app.web.forms import Checked, SiteForm, add_error, check_zone, require_given_name

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_TIME_OFF_WITHIN = timedelta(days=5 * 365)
_TIME = re.compile(r"([0-9]{1,2}):([0-9]{2})")


def _day(value: str) -> date:
    try:
        day = validation.day(value)
    except ValueError:
        raise ValueError("Please give a day such as 2026-12-24.") from None
    if abs(day - clock.now().date()) > _TIME_OFF_WITHIN:
        raise ValueError("Please give a day within five years.")
    return day


def _time(value: str) -> time | None:
    if not value.strip():
        return None
    match = _TIME.fullmatch(value.strip())
    try:
        return time(int(match[1]), int(match[2])) if match else time(99)
    except ValueError:
        raise ValueError("Please give a time such as 09:30, or leave it empty.") from None


class SettingsForm(SiteForm):
    class Meta:
        # The guard of the dashboard checks the token.
        csrf = False

    def validate(self, extra_validators: Any = None) -> bool:
        """False also where a field was not sent at all: it would clear what is stored."""
        is_valid = super().validate(extra_validators)
        missing = [
            field for field in self if not (field.raw_data or isinstance(field, BooleanField))
        ]
        for field in missing:
            add_error(self, field.name, "This did not reach us. Please send it again.")
        return bool(is_valid) and not missing

    def differs_from(self, digest: str) -> bool:
        """Whether other values were sent than those of `digest`.

        False also where no field was sent; a box that is not ticked never is.
        """
        if not any(field.raw_data for field in self if not isinstance(field, BooleanField)):
            return False
        return self.digest != digest

    @property
    def digest(self) -> str:
        """Of the fields' values."""
        # A browser sends line ends as CR LF, and rows of hours that were left empty.
        values = [
            field.periods if isinstance(field, DayField) else str(field.data or "").split()
            for field in self
        ]
        return hashlib.sha256(json.dumps(values).encode()).hexdigest()[:16]


class AboutForm(SettingsForm):
    name = StringField("Your name", [Checked(validation.name)])
    given_name = StringField("What clients call you", [Checked(validation.given_name)])
    headline = StringField("Headline", [Checked(validation.headline)])
    # Its section is called "about".
    about = TextAreaField("About you", [Checked(validation.text)], id="about-text")
    specialisms = StringField("Specialisms", [Checked(validation.specialisms)])
    qualifications = StringField("Qualifications", [Checked(validation.qualifications)])
    languages = StringField("Languages", [Checked(validation.languages)])

    def validate_given_name(self, field: Field) -> None:
        require_given_name(self.name, field)

    def changes(self) -> dict[str, Any]:
        changes = {field.name: field.checked for field in self}
        changes["given_name"] = changes["given_name"] or given_name(self.name.checked)
        return changes


class OfferForm(SettingsForm):
    """Rate, free consultation, time zone and meeting link. Set `currency` before `validate`."""

    rate = StringField("Rate for one session")
    offers_free_consultation = BooleanField("I offer a free initial consultation")
    timezone = StringField("Your time zone", [check_zone])
    meeting_url = StringField("Meeting link", [Checked(validation.meeting_url)])
    currency = ""

    def validate_rate(self, field: Field) -> None:
        try:
            field.checked = validation.rate(field.data or "", self.currency)
        except ValueError as error:
            raise ValidationError(f"Please give {error}.") from None

    def changes(self) -> dict[str, Any]:
        return {
            "rate_minor": self.rate.checked,
            "offers_free_consultation": bool(self.offers_free_consultation.data),
            "timezone": self.timezone.checked,
            "meeting_url": self.meeting_url.checked,
        }


class DayField(Field):  # type: ignore[misc]  # WTForms ships no types
    """A weekday's hours, typed in rows of two texts, which are sent as NAME_from and NAME_to."""

    def __init__(self, label: str, **more: Any) -> None:
        super().__init__(label, **more)
        self.data: list[tuple[str, str]]
        self.checked: tuple[Window, ...] = ()

    def process(self, formdata: Any, data: Any = unset_value, extra_filters: Any = None) -> None:
        super().process(None, data, extra_filters)
        self.data = self.data or []
        if formdata is not None:
            starts, ends = (formdata.getlist(f"{self.name}_{end}") for end in ("from", "to"))
            self.raw_data = [*starts, *ends]
            self.data = list(zip_longest(starts, ends, fillvalue=""))

    @property
    def periods(self) -> list[tuple[str, str]]:
        """Without the rows that were left empty."""
        return [(start, end) for start, end in self.data if start.strip() or end.strip()]

    @property
    def rows(self) -> list[tuple[str, str]]:
        return self.data or [("", "")]

    def pre_validate(self, _form: Any) -> None:
        weekday = WEEKDAYS.index(self.name)
        try:
            self.checked = weekly_hours.checked(
                _window(weekday, start, end) for start, end in self.periods
            )
        except ValueError as error:
            raise ValidationError(f"{error}.") from None


def _window(weekday: int, start: str, end: str) -> Window:
    if not (start.strip() and end.strip()):
        raise ValueError("Please give both times, or leave both empty")
    return weekly_hours.window(weekday, start, end)


class HoursForm(SettingsForm):
    monday = DayField("Monday")
    tuesday = DayField("Tuesday")
    wednesday = DayField("Wednesday")
    thursday = DayField("Thursday")
    friday = DayField("Friday")
    saturday = DayField("Saturday")
    sunday = DayField("Sunday")

    def windows(self) -> list[Window]:
        return [window for field in self for window in field.checked]

    def add_row(self, day: str) -> None:
        self[day].data = [*self[day].rows, ("", "")]

    def copy(self, day: str, to: Sequence[str]) -> None:
        for other in (day, *to):
            self[other].data = self[day].periods


class TimeOffForm(SettingsForm):
    """Time off, in the therapist's time zone; without times, whole days."""

    first_on = StringField("First day", [Checked(_day)])
    from_at = StringField("From (optional)", [Checked(_time)])
    last_on = StringField("Last day", [Checked(_day)])
    until_at = StringField("Until (optional)", [Checked(_time)])

    def to_time_off(self, zone: ZoneInfo) -> Away | None:
        """None, with an error beside the field, if clocks in `zone` skip one of its times."""
        starts_at = self._instant("from_at", self.first_on.checked, self.first_on.checked, zone)
        after_last = self.last_on.checked + timedelta(days=1)
        ends_at = self._instant("until_at", self.last_on.checked, after_last, zone)
        return Away(starts_at, ends_at) if starts_at and ends_at else None

    def _instant(self, field: str, day: date, whole_day: date, zone: ZoneInfo) -> datetime | None:
        """The time typed in `field` on `day`, or midnight before `whole_day` if it is empty."""
        at = self[field].checked
        if at is None:
            return weekly_hours.day_starts_at(whole_day, zone)
        try:
            return weekly_hours.local_instant(day, at, zone)
        except ValueError as error:
            add_error(self, field, str(error))
            return None
