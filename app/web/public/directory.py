"""Find a Therapist, the therapist's page, and asking for a session there."""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from http import HTTPStatus

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
from app.web.forms import add_error
from app.web.public import search_params
from app.web.public.open_times import list_openings
from app.web.public.request_form import RequestForm
from app.web.security import PUBLIC_FORM_LIMIT, csrf, limiter
from app.web.template_filters import local_day, rfc3339

blueprint = Blueprint("directory", __name__)

# The visitor's session holds the reference of their last request, for the page that follows it.
_SESSION_KEY = "asked"
_DETAILS_SHOWN_FOR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class View:
    """Which open times a visitor wants to see, and how; `chosen_at` is the start they picked."""

    kind: Kind
    zone: str
    from_on: date | None
    chosen_at: datetime | None
    errors: search_params.Errors


@blueprint.get("/")
def find() -> str:
    now, page = clock.now(), search_params.page_number(request.args)
    filters, errors = search_params.search_filters(request.args, now)
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
    therapist = queries.therapist_by_slug(slug)
    view = _view(therapist)
    form = RequestForm(formdata=None, kind=view.kind, timezone=view.zone)
    response = _therapist_page(therapist, view, form)
    if therapist.is_hidden:
        response.headers["X-Robots-Tag"] = "noindex"
    return response


@blueprint.post("/therapists/<slug>")
@limiter.limit(PUBLIC_FORM_LIMIT)
def request_session(slug: str) -> AnyResponse:
    therapist, form = queries.therapist_by_slug(slug), RequestForm()
    if not form.validate():
        status = HTTPStatus.BAD_REQUEST if form.is_stale else HTTPStatus.UNPROCESSABLE_ENTITY
        return _form_page(therapist, form, status)
    try:
        booking = request_booking(form.to_request(therapist.slug), via=Via.PAGE, now=clock.now())
    except DomainError as refusal:
        return _refusal_page(therapist, form, refusal)
    session[_SESSION_KEY] = booking.reference
    return redirect(url_for(".requested", slug=slug), HTTPStatus.SEE_OTHER)


# The form checks its token itself, so that a page that was open for too long keeps the typed text.
csrf.exempt(request_session)


@blueprint.get("/therapists/<slug>/requested")
def requested(slug: str) -> str:
    # Details only for the browser that sent the request.
    now, policy = clock.now(), config.current().policy
    booking = _recent_request(slug, now)
    return render_template("public/requested.html", booking=booking, now=now, policy=policy)


def _recent_request(slug: str, now: datetime) -> Booking | None:
    reference = session.get(_SESSION_KEY)
    if reference is None:
        return None
    try:
        booking = queries.booking_by_reference(reference)
    except NotFound:
        return None
    is_recent = now - booking.requested_at < _DETAILS_SHOWN_FOR
    return booking if is_recent and booking.therapist.slug == slug else None


def _view(therapist: Therapist) -> View:
    errors: search_params.Errors = {}
    kind = search_params.kind(request.args) if therapist.offers_free_consultation else Kind.PAID
    zone = search_params.zone(request.args, errors) or therapist.timezone
    chosen_at = _instant(request.args.get("at", ""))
    from_on = search_params.from_day(request.args) or _day_of(chosen_at, zone)
    return View(kind, zone, from_on, chosen_at, errors)


def _instant(value: str) -> datetime | None:
    try:
        return validation.instant(value)
    except ValueError:
        return None


def _day_of(at: datetime | None, zone: str) -> date | None:
    return local_day(at, zone) if at else None


def _therapist_page(
    therapist: Therapist,
    view: View,
    form: RequestForm,
    status: HTTPStatus = HTTPStatus.OK,
    refusal: str = "",
) -> Response:
    now, policy = clock.now(), config.current().policy
    context = {"therapist": therapist, "form": form, "now": now, "policy": policy}
    if not therapist.takes_bookings:
        others = search.alternatives_to(therapist, now)
        html = render_template("public/unavailable.html", **context, others=others)
        return make_response(html, status)
    html = render_template(
        "public/therapist.html",
        **context,
        view=view,
        chosen=rfc3339(view.chosen_at) if view.chosen_at else "",
        openings=list_openings(therapist, view.kind, view.zone, from_on=view.from_on, now=now),
        refusal=refusal,
    )
    return make_response(html, status)


def _form_page(
    therapist: Therapist, form: RequestForm, status: HTTPStatus, refusal: str = ""
) -> Response:
    is_free = form.kind.data == Kind.FREE_CONSULTATION and therapist.offers_free_consultation
    chosen_at, view = _instant(form.starts_at.data or ""), _view(therapist)
    view = replace(
        view,
        kind=Kind.FREE_CONSULTATION if is_free else Kind.PAID,
        chosen_at=chosen_at,
        from_on=_day_of(chosen_at, view.zone),
    )
    return _therapist_page(therapist, view, form, status, refusal)


def _refusal_page(therapist: Therapist, form: RequestForm, refusal: DomainError) -> Response:
    match refusal:
        case InvalidFields():
            for error in refusal.errors:
                add_error(form, error.field, error.message)
            return _form_page(therapist, form, HTTPStatus.UNPROCESSABLE_ENTITY)
        case FreeConsultationUsed():
            form.kind.data = Kind.PAID
        case TherapistUnavailable():
            therapist = queries.therapist_by_slug(therapist.slug)
        case SlotTaken():
            pass
        case _:
            raise refusal
    return _form_page(therapist, form, HTTPStatus.CONFLICT, refusal.code)
