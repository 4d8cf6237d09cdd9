"""Which open times a therapist's page shows: as its address says, or its form as it was sent."""

from dataclasses import dataclass
from datetime import date, datetime

from flask import request

from app.rules.lifecycle import Kind
from app.services import validation
from app.services.zone_search import AmbiguousPlace
from app.store.models import Therapist
from app.web import forms, zones
from app.web.public import search_params
from app.web.public.request_form import RequestForm, days_asked_for
from app.web.template_filters import local_day


@dataclass(frozen=True, slots=True)
class TimesView:
    """Which open times a visitor wants to see, and how; `chosen_at` is the start they picked.

    `zone` is the therapist's until the visitor's is known. `zones_meant` are those that the
    visitor's words fit, if there are several.
    """

    kind: Kind
    zone: str
    from_on: date | None
    chosen_at: datetime | None
    is_zone_known: bool = True
    zones_meant: tuple[str, ...] = ()


def read_address(therapist: Therapist) -> tuple[TimesView, RequestForm]:
    """What the page's address asks for, and the empty form for it."""
    kind = search_params.kind(request.args) if therapist.offers_free_consultation else Kind.PAID
    form = RequestForm(formdata=None, kind=kind, timezone=zones.known().name)
    if typed := request.args.get("tz", "").strip():
        form.timezone.data = typed
    return _view(
        therapist, form, kind, request.args.get("at", ""), search_params.from_day(request.args)
    ), form


def read_form(therapist: Therapist, form: RequestForm) -> TimesView:
    """What the form asks for: the days of its button, or else the days that it showed."""
    is_free = form.kind.data == Kind.FREE_CONSULTATION and therapist.offers_free_consultation
    kind = Kind.FREE_CONSULTATION if is_free else Kind.PAID
    return _view(therapist, form, kind, form.starts_at.data or "", days_asked_for())


def _view(
    therapist: Therapist, form: RequestForm, kind: Kind, chosen: str, from_on: date | None
) -> TimesView:
    zone, meant = _zone(form)
    shown, chosen_at = zone or therapist.timezone, _instant(chosen)
    from_on = from_on or _day_of(chosen_at, shown)
    return TimesView(kind, shown, from_on, chosen_at, zone is not None, meant)


def _zone(form: RequestForm) -> tuple[str | None, tuple[str, ...]]:
    """The zone that the field means, and the zones that it may mean if there are several."""
    if not form.timezone.data:
        return None, ()
    try:
        return forms.zone(form.timezone), ()
    except ValueError as error:
        if not form.timezone.errors:
            forms.add_error(form, "timezone", str(error))
        return None, error.zones if isinstance(error, AmbiguousPlace) else ()


def _instant(value: str) -> datetime | None:
    try:
        return validation.instant(value)
    except ValueError:
        return None


def _day_of(at: datetime | None, zone: str) -> date | None:
    return local_day(at, zone) if at else None
