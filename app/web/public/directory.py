"""Find a Therapist, the therapist's page, and asking for a session there."""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from flask import (
    Blueprint,
    Response,
    make_response,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from werkzeug.wrappers import Response as AnyResponse

from app import clock, config
from app.errors import (
    DomainError,
    FreeConsultationUsed,
    InvalidFields,
    NotFound,
    SlotTaken,
    TherapistUnavailable,
)
from app.rules.lifecycle import Kind, Via
from app.services import search, validation
from app.services.bookings.request import request_booking
from app.store import queries
from app.store.models import Booking, Therapist
from app.store.queries import directory
from app.web.public import search_params
from app.web.public.open_times import list_openings
from app.web.public.request_form import RequestForm
from app.web.security import PUBLIC_FORM_LIMIT, csrf, limiter
from app.web.template_filters import local_day, rfc3339

blueprint = Blueprint("directory", __name__)

_RECEIPT = "asked"
_RECEIPT_LASTS = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class View:
    """How a visitor looks at a therapist's open times; `chosen_at` is the start they picked."""

    kind: Kind
    zone: str
    from_on: date | None
    chosen_at: datetime | None
    errors: search_params.Errors


@blueprint.get("/")
def find() -> str:
    """Ranked cards of the therapists who fit the filters."""
    now = clock.now()
    filters, errors = search_params.search_filters(request.args, now)
    page = search_params.page(request.args)
    return render_template(
        "public/find.html",
        filters=filters,
        errors=errors,
        results=search.find(filters, page=page, now=now),
        page=page,
        specialisms=directory.specialisms(),
        now=now,
        policy=config.current().policy,
    )


@blueprint.get("/therapists/<slug>")
def profile(slug: str) -> AnyResponse:
    """The therapist's profile, open times and request form."""
    therapist = queries.therapist_by_slug(slug)
    view = _view(therapist)
    form = RequestForm(formdata=None, kind=view.kind, timezone=view.zone)
    response = _page(therapist, view, form)
    if therapist.is_hidden:
        response.headers["X-Robots-Tag"] = "noindex"
    return response


@blueprint.post("/therapists/<slug>")
@limiter.limit(PUBLIC_FORM_LIMIT)
def request_session(slug: str) -> AnyResponse:
    """Ask for a session."""
    therapist = queries.therapist_by_slug(slug)
    form = RequestForm()
    if not form.validate():
        return _form_page(therapist, form, 400 if form.is_stale else 422)
    try:
        booking = request_booking(form.to_request(therapist.slug), via=Via.PAGE, now=clock.now())
    except DomainError as refusal:
        return _refusal_page(therapist, form, refusal)
    session[_RECEIPT] = booking.reference
    return redirect(url_for(".requested", slug=slug), 303)


# The form checks its token itself, so that a page left open for too long keeps what was typed.
csrf.exempt(request_session)


@blueprint.get("/therapists/<slug>/requested")
def requested(slug: str) -> str:
    """What happens next; the particulars only for the browser that has just asked."""
    now = clock.now()
    booking = _recent_request(slug, now)
    policy = config.current().policy
    return render_template("public/requested.html", booking=booking, now=now, policy=policy)


def _recent_request(slug: str, now: datetime) -> Booking | None:
    reference = session.get(_RECEIPT)
    if reference is None:
        return None
    try:
        booking = queries.booking_by_reference(reference)
    except NotFound:
        return None
    is_recent = now - booking.requested_at < _RECEIPT_LASTS
    return booking if is_recent and booking.therapist.slug == slug else None


def _view(therapist: Therapist) -> View:
    errors: search_params.Errors = {}
    kind = search_params.kind(request.args) if therapist.offers_free_consultation else Kind.PAID
    zone = search_params.zone(request.args, errors) or therapist.timezone
    chosen_at = _instant(request.args.get("at", ""))
    from_on = search_params.from_day(request.args)
    return View(kind, zone, from_on or _day_of(chosen_at, zone), chosen_at, errors)


def _instant(value: str) -> datetime | None:
    try:
        return validation.instant(value)
    except ValueError:
        return None


def _day_of(at: datetime | None, zone: str) -> date | None:
    return local_day(at, zone) if at else None


def _page(
    therapist: Therapist, view: View, form: RequestForm, status: int = 200, **more: Any
) -> Response:
    now = clock.now()
    if not therapist.takes_bookings:
        others = search.alternatives_to(therapist, now)
        html = render_template(
            "public/unavailable.html",
            therapist=therapist,
            others=others,
            form=form,
            policy=config.current().policy,
        )
        return make_response(html, status)
    shown = list_openings(therapist, view.kind, view.zone, from_on=view.from_on, now=now)
    html = render_template(
        "public/therapist.html",
        therapist=therapist,
        view=view,
        chosen=rfc3339(view.chosen_at) if view.chosen_at else "",
        form=form,
        openings=shown,
        now=now,
        policy=config.current().policy,
        **more,
    )
    return make_response(html, status)


def _form_page(therapist: Therapist, form: RequestForm, status: int, **more: Any) -> Response:
    """The form once more, with what was typed, on the day that was chosen."""
    is_free = form.kind.data == Kind.FREE_CONSULTATION and therapist.offers_free_consultation
    chosen_at = _instant(form.starts_at.data or "")
    view = _view(therapist)
    view = replace(
        view,
        kind=Kind.FREE_CONSULTATION if is_free else Kind.PAID,
        chosen_at=chosen_at,
        from_on=_day_of(chosen_at, view.zone),
    )
    return _page(therapist, view, form, status, **more)


def _refusal_page(therapist: Therapist, form: RequestForm, refusal: DomainError) -> Response:
    """The designed state for a request that was in order but cannot be."""
    match refusal:
        case InvalidFields():
            form.add_errors(refusal)
            return _form_page(therapist, form, 422)
        case FreeConsultationUsed():
            form.kind.data = Kind.PAID
            return _form_page(therapist, form, 409, refusal="free_consultation_used")
        case SlotTaken():
            return _form_page(therapist, form, 409, refusal="slot_taken")
        case TherapistUnavailable():
            return _form_page(queries.therapist_by_slug(therapist.slug), form, 409)
        case _:
            raise refusal
