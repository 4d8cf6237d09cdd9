"""Which open times a therapist's page shows: as its address says, or its form as it was sent."""

from dataclasses import dataclass
from datetime import date, datetime

from flask import request

from app.rules.lifecycle import Kind
from app.services import validation
from app.store.models import Therapist
from app.web.forms import add_error
from app.web.public import search_params
from app.web.public.request_form import RequestForm, days_asked_for
from app.web.template_filters import local_day


@dataclass(frozen=True, slots=True)
class TimesView:
    """Which open times a visitor wants to see, and how; `chosen_at` is the start they picked."""

    kind: Kind
    zone: str
    from_on: date | None
    chosen_at: datetime | None


def read_address(therapist: Therapist) -> tuple[TimesView, RequestForm]:
    """What the page's address asks for, and the empty form for it."""
    errors: search_params.Errors = {}
    kind = search_params.kind(request.args) if therapist.offers_free_consultation else Kind.PAID
    zone = search_params.zone(request.args, errors) or therapist.timezone
    chosen_at = _instant(request.args.get("at", ""))
    from_on = search_params.from_day(request.args) or _day_of(chosen_at, zone)
    form = RequestForm(formdata=None, kind=kind, timezone=request.args.get("tz") or zone)
    if errors:
        add_error(form, "timezone", errors["tz"])
    return TimesView(kind, zone, from_on, chosen_at), form


def read_form(therapist: Therapist, form: RequestForm) -> TimesView:
    """What the form asks for: the days of its button, or else the days that it showed."""
    is_free = form.kind.data == Kind.FREE_CONSULTATION and therapist.offers_free_consultation
    zone, chosen_at = _zone(therapist, form), _instant(form.starts_at.data or "")
    from_on = days_asked_for() or _day_of(chosen_at, zone)
    return TimesView(Kind.FREE_CONSULTATION if is_free else Kind.PAID, zone, from_on, chosen_at)


def _zone(therapist: Therapist, form: RequestForm) -> str:
    try:
        return validation.timezone(form.timezone.data or "")
    except ValueError as error:
        if not form.timezone.errors:
            add_error(form, "timezone", str(error))
        return therapist.timezone


def _instant(value: str) -> datetime | None:
    try:
        return validation.instant(value)
    except ValueError:
        return None


def _day_of(at: datetime | None, zone: str) -> date | None:
    return local_day(at, zone) if at else None
