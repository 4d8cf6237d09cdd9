"""Find a Therapist, the therapist's page, and asking for a session there."""

from collections.abc import Callable
from datetime import datetime, timedelta
from http import HTTPStatus
from math import ceil

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
    TooManyOpen,
    TooManyRequests,
)
from app.rules.lifecycle import Actor, Via
from app.services import idempotency, limits, search
from app.services.bookings import confirm
from app.services.bookings.request import request_booking
from app.services.mail.reach import reach_of
from app.store import queries
from app.store.db import database
from app.store.models import Booking, Therapist
from app.store.queries import directory
from app.web import booking_text, cookies, page_cache, zones
from app.web.compression import SharedBody
from app.web.forms import add_error, add_errors
from app.web.page_cache import PageCache
from app.web.public import search_params, therapist_page, times_view, unconfirmed
from app.web.public.request_form import RequestForm, asks_for_times
from app.web.security import PUBLIC_FORM_LIMIT, csrf, limiter, network

blueprint = Blueprint("directory", __name__)

# The visitor's session holds the reference of their last request, for the page that follows it.
_SESSION_KEY = "asked"
# When that was, in seconds since the epoch.
_ASKED_AT = "asked_at"
_DETAILS_SHOWN_FOR = timedelta(hours=1)
# Find a Therapist, by address and the visitor's zone; a page has up to 60 KB.
pages = PageCache[SharedBody](64)


@blueprint.get("/")
def find() -> Response:
    # The time that this browser has just asked for must not be offered to it.
    make = _find_page if _has_just_asked() else _kept_find_page
    return make().response()


def _has_just_asked() -> bool:
    asked_at: int = session.get(_ASKED_AT, 0)
    return clock.now().timestamp() - asked_at <= page_cache.SECONDS + 1


def _kept_find_page() -> SharedBody:
    return pages.get_by_address(_find_page, zones.known())


def _find_page() -> SharedBody:
    # Connected here, since the kept page needs no database.
    with database.connection():
        return SharedBody(_find_html().encode(), "text/html")


def _find_html() -> str:
    now, page = clock.now(), search_params.page_number(request.args)
    filters, errors = search_params.search_filters(request.args, now, zones.known().name)
    return render_template(
        "public/find.html",
        filters=filters,
        errors=errors,
        results=search.find(filters, page=page, now=now),
        page=page,
        offered=directory.offered(),
        address_args=search_params.address_args(request.args, filters),
        active=search_params.active(filters),
        sorts=search_params.SORT_WORDS,
        currency=config.current().currency,
        now=now,
        policy=config.current().policy,
    )


@blueprint.get("/therapists/<slug>")
def profile(slug: str) -> AnyResponse:
    return therapist_page.kept_response(slug)


@blueprint.post("/therapists/<slug>")
@limiter.limit(PUBLIC_FORM_LIMIT, exempt_when=asks_for_times)
def request_session(slug: str) -> AnyResponse:
    therapist = queries.therapist_by_slug(slug)
    form = RequestForm(timezone=zones.known().name)
    if asks_for_times():
        return _form_page(therapist, form, HTTPStatus.OK)
    if not form.validate():
        status = HTTPStatus.BAD_REQUEST if form.is_stale else HTTPStatus.UNPROCESSABLE_ENTITY
        return _form_page(therapist, form, status)
    try:
        _send(therapist, form)
    except DomainError as refusal:
        return _refusal_page(therapist, form, refusal)
    return _next_page(slug, form)


# The form checks its token itself, so that a page that was open for too long keeps the typed text.
csrf.exempt(request_session)


def _next_page(slug: str, form: RequestForm) -> Response:
    response = make_response(redirect(url_for(".requested", slug=slug), HTTPStatus.SEE_OTHER))
    cookies.remember_asked(response, form.email.checked)
    zones.remember(response, form.zone)
    return response


def _send(therapist: Therapist, form: RequestForm) -> None:
    """Make the request, or let its address be confirmed first; the browser keeps which."""
    if unconfirmed.must_confirm(form.email.checked):
        unconfirmed.remember(_take_request(therapist, form))
        session.pop(_SESSION_KEY, None)
    else:
        session[_SESSION_KEY] = _request(therapist, form)
        unconfirmed.forget()
    session[_ASKED_AT] = int(clock.now().timestamp())


def _request(therapist: Therapist, form: RequestForm) -> str:
    """The reference of the new booking, or of the one that this very form led to before."""
    now, wanted = clock.now(), form.to_request(therapist)
    return _counted(form, lambda: request_booking(wanted, via=Via.PAGE, now=now).reference, now)


def _take_request(therapist: Therapist, form: RequestForm) -> str:
    """The key of the request that waits for its address to be confirmed; once for each form."""
    now, wanted = clock.now(), form.to_request(therapist)
    return _counted(form, lambda: confirm.take_request(wanted, now=now), now)


def _counted(form: RequestForm, work: Callable[[], str], now: datetime) -> str:
    visitors = network()

    def counted() -> str:
        # In the transaction of `work`.
        limits.count_request(visitors, now)
        return work()

    try:
        return idempotency.first_result(form.key, counted, now=now)
    except confirm.REFUSALS:
        # Whose transaction is undone, and the count with it.
        limits.count_refused_request(visitors, now)
        raise


@blueprint.get("/therapists/<slug>/requested")
def requested(slug: str) -> str:
    # Details only for the browser that sent the request.
    if (pending := unconfirmed.current(slug)) is not None:
        return unconfirmed.page(pending)
    now, policy = clock.now(), config.current().policy
    booking = _recent_request(slug, now)
    fee = booking_text.fee_for(booking, Actor.CLIENT) if booking else None
    return render_template(
        "public/requested.html",
        booking=booking,
        fee=fee,
        now=now,
        policy=policy,
        is_unreached=booking and reach_of(booking, now).therapist,
    )


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


def _form_page(
    therapist: Therapist, form: RequestForm, status: HTTPStatus, refusal: str = ""
) -> Response:
    if not therapist.takes_bookings:
        return make_response(therapist_page.unavailable(therapist), status)
    view = times_view.read_form(therapist, form)
    html = therapist_page.read(therapist, view, form).html(refusal)
    response = make_response(html, status)
    zones.remember(response, view.zone if view.is_zone_known else None)
    return response


def _refusal_page(therapist: Therapist, form: RequestForm, refusal: DomainError) -> Response:
    match refusal:
        case InvalidFields():
            add_errors(form, refusal)
            return _form_page(therapist, form, HTTPStatus.UNPROCESSABLE_ENTITY)
        case FreeConsultationUsed():
            # What else they want is theirs to say: paying is not chosen for them.
            form.kind.data = None
        case TherapistUnavailable():
            therapist = queries.therapist_by_slug(therapist.slug)
        case TooManyRequests():
            response = _form_page(therapist, form, HTTPStatus.TOO_MANY_REQUESTS, refusal.code)
            response.headers["Retry-After"] = str(ceil(refusal.wait.total_seconds()))
            return response
        case SlotTaken():
            pass
        case TooManyOpen():
            field = "email" if refusal.of == "client" else "starts_at"
            add_error(form, field, str(refusal))
        case _:
            raise refusal
    return _form_page(therapist, form, HTTPStatus.CONFLICT, refusal.code)
