"""The HTTP API under /api: JSON, an API key on every call, problem details for every error."""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from functools import partial
from typing import Any

import structlog
from flask import Blueprint, Response, request
from werkzeug.exceptions import HTTPException

from app import api_keys, clock, config
from app.api_keys import ApiKey
from app.errors import DomainError, FieldError, InvalidFields, NotFound, TimeMoveRefused
from app.rules.lifecycle import Status, Verdict, Via
from app.schemas import BookingDetail, BookingOut, TherapistDetail, TherapistOut
from app.services import access_trail, availability, idempotency, validation
from app.services.bookings import cancel, ledger, propose, transitions
from app.services.bookings.propose import TimeMoveResult
from app.services.bookings.request import request_booking
from app.services.bookings.transitions import MoveResult
from app.services.idempotency import Answer
from app.services.therapists import ranking
from app.store import queries
from app.store.models import Booking, Therapist
from app.web.api import problems
from app.web.api.input import (
    BookingIn,
    CancelIn,
    DeclineIn,
    ProposalIn,
    SlotsIn,
    TakeIn,
    checked,
    json_object,
    single_values,
)
from app.web.page_cache import PageCache
from app.web.security import API_LIMIT, csrf, limiter

blueprint = Blueprint("api", __name__, url_prefix="/api")
problems.register(blueprint)
csrf.exempt(blueprint)

_PUBLIC = frozenset({"api.openapi_document", "api.reference", "api.problem_kind"})
_READS = frozenset({"GET", "HEAD", "OPTIONS"})
# Open times by address; two months of one therapist have up to 70 KB.
_slots = PageCache[str](64)
_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}")


def _rate_limit_key() -> str:
    """The API key's hash, or the caller's address where the key is missing or wrong."""
    key = _api_key()
    if key is None:
        return request.remote_addr or "unknown"
    return hashlib.sha256(key.secret.encode()).hexdigest()


limiter.shared_limit(API_LIMIT, scope="api", key_func=_rate_limit_key)(blueprint)


@blueprint.before_app_request
def guard() -> Response | None:
    # Also for addresses that do not exist.
    structlog.contextvars.unbind_contextvars("api_key")
    if request.path != "/api" and not request.path.startswith("/api/"):
        return None
    if request.endpoint not in _PUBLIC:
        key = _api_key()
        if key is None:
            return problems.response(problems.problem("unauthorized"))
        structlog.contextvars.bind_contextvars(api_key=key.name)
        origin = access_trail.current_origin()
        access_trail.come_from(replace(origin, api_key=key.name or ""))
        if not key.may_write and request.method not in _READS:
            return problems.response(problems.problem("read_only_key"))
    error = request.routing_exception
    is_error = isinstance(error, HTTPException) and (error.code or 500) >= 400
    return problems.http_error_response(error) if is_error and error else None


@blueprint.get("/openapi.json")
def openapi_document() -> Response:
    # Imported on demand: the library is a sixth of a process's memory and rarely used.
    from app.web.api import openapi  # noqa: PLC0415

    return Response(openapi.document(config.current().public_url), mimetype="application/json")


@blueprint.get("/reference")
def reference() -> str:
    # Imported on demand for the same reason.
    from app.web.api import reference as page  # noqa: PLC0415

    return page.page(config.current().public_url)


@blueprint.get("/problems/<code>")
def problem_kind(code: str) -> Response:
    if code not in problems.KINDS:
        raise NotFound("such problem")
    status, title = problems.KINDS[code]
    return _json(json.dumps({"code": code, "status": status, "title": title}))


@blueprint.post("/v1/bookings")
def create_booking() -> Response:
    now, body = clock.now(), json_object(request.get_data())
    book = partial(_book, _booking_input(body), now)
    key = _idempotency_key()
    if key is None:
        return _answer_response(book())
    answer = idempotency.answer_once(key, _hash(body), now=now, work=book, refusal=_refusal)
    return _answer_response(answer)


@blueprint.get("/v1/bookings/<reference>")
def show_booking(reference: str) -> Response:
    now = clock.now()
    booking = transitions.refresh(_reference(reference), via=Via.API, now=now)
    return _json(_detail(booking, now).text())


@blueprint.post("/v1/bookings/<reference>/cancel")
def cancel_booking(reference: str) -> Response:
    """A client's open enquiry is withdrawn."""
    now = clock.now()
    booking = queries.booking_by_reference(_reference(reference))
    by = checked(CancelIn, json_object(request.get_data())).by
    result = cancel.cancel(booking, by=by, via=Via.API, now=now)
    detail = _detail(result.booking, now)
    if result.is_done:
        return _json(detail.text())
    reason = _refusal_reason(result)
    return problems.response(problems.problem("move_not_allowed", reason, booking=detail))


@blueprint.post("/v1/bookings/<reference>/proposals")
def propose_times(reference: str) -> Response:
    """A client's open enquiry moves at once."""
    booking = queries.booking_by_reference(_reference(reference))
    given = checked(ProposalIn, json_object(request.get_data()))
    starts, by, now = given.starts, given.by, clock.now()
    return _time_move(
        lambda: propose.propose(booking, starts, by=by, via=Via.API, now=now), status=201
    )


@blueprint.post("/v1/bookings/<reference>/proposals/take")
def take_proposal(reference: str) -> Response:
    booking = queries.booking_by_reference(_reference(reference))
    given, now = checked(TakeIn, json_object(request.get_data())), clock.now()
    return _time_move(
        lambda: propose.take(
            booking,
            given.starts_at,
            by=given.by,
            via=Via.API,
            now=now,
            waive_notice=given.waive_notice,
        )
    )


@blueprint.post("/v1/bookings/<reference>/proposals/decline")
def decline_proposal(reference: str) -> Response:
    """The proposer takes it back; the other side keeps the old time."""
    booking = queries.booking_by_reference(_reference(reference))
    by, now = checked(DeclineIn, json_object(request.get_data())).by, clock.now()
    return _time_move(lambda: propose.keep(booking, by=by, via=Via.API, now=now))


@blueprint.get("/v1/therapists")
def list_therapists() -> Response:
    listed = [TherapistOut.from_therapist(each) for each in queries.listed_therapists(clock.now())]
    return _json(json.dumps([each.model_dump(mode="json") for each in listed]))


@blueprint.get("/v1/therapists/<slug>")
def show_therapist(slug: str) -> Response:
    therapist = _therapist(slug)
    factors = ranking.explain(therapist, clock.now())
    return _json(TherapistDetail.with_factors(therapist, factors).text())


@blueprint.get("/v1/therapists/<slug>/slots")
def list_slots(slug: str) -> Response:
    """Open starts; `from` and `days` count days in UTC."""
    return _json(_slots.get_as_stored(lambda: _slots_text(slug)))


def _slots_text(slug: str) -> str:
    now, therapist = clock.now(), _therapist(slug)
    given = single_values(request.args.to_dict(flat=False))
    params = checked(SlotsIn, {"from": now.date().isoformat(), **given})
    from_at = datetime.combine(params.from_on, time(), UTC)
    until_at = from_at + timedelta(days=params.days)
    starts = availability.open_times(
        therapist, params.kind, from_at=from_at, until_at=until_at, now=now
    )
    return json.dumps([validation.instant_text(start) for start in starts])


def _api_key() -> ApiKey | None:
    given = request.authorization
    if given is None or given.type != "bearer" or not given.token:
        return None
    return api_keys.find(given.token, config.current().api_keys)


def _booking_input(body: dict[str, Any]) -> BookingIn:
    slug = body.get("therapist")
    try:
        params = checked(BookingIn, body)
    except InvalidFields:
        # An unknown therapist (404) has priority over invalid fields (422).
        if isinstance(slug, str) and slug:
            _therapist(slug)
        raise
    _slug(params.therapist)
    return params


def _book(params: BookingIn, now: datetime) -> Answer:
    booking = request_booking(params.to_request(), via=Via.API, now=now)
    return Answer(201, BookingOut.from_booking(booking, now).text())


def _therapist(slug: str) -> Therapist:
    return queries.therapist_by_slug(_slug(slug))


def _slug(value: str) -> str:
    try:
        return validation.slug(value)
    except ValueError:
        raise NotFound("therapist") from None


def _reference(value: str) -> str:
    try:
        return validation.reference(value)
    except ValueError:
        raise NotFound("booking") from None


def _idempotency_key() -> str | None:
    """Raises InvalidFields."""
    # The API key is part of it, so that two callers cannot collide.
    given, api_key = request.headers.get("Idempotency-Key"), _api_key()
    if given is None or api_key is None:
        return None
    if not _IDEMPOTENCY_KEY.fullmatch(given):
        message = "Please give 1 to 255 visible ASCII characters, without spaces."
        raise InvalidFields(FieldError("Idempotency-Key", message))
    return hashlib.sha256(f"{api_key.secret}\n{given}".encode()).hexdigest()


def _hash(body: dict[str, Any]) -> str:
    # Independent of white space and the order of fields.
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _refusal(error: DomainError) -> Answer:
    problem = problems.from_domain_error(error)
    return Answer(problem.status, problem.text())


def _detail(booking: Booking, now: datetime) -> BookingDetail:
    return BookingDetail.with_history(
        booking, queries.timeline_of(booking), ledger.lines_of(booking), now
    )


def _time_move(move: Callable[[], TimeMoveResult], status: int = 200) -> Response:
    now = clock.now()
    try:
        booking = move().booking
    except TimeMoveRefused as error:
        present = transitions.refresh(error.reference, via=Via.API, now=now)
        problem = problems.problem(error.code, str(error), booking=_detail(present, now))
        return problems.response(problem)
    return _json(_detail(booking, now).text(), status)


def _refusal_reason(result: MoveResult) -> str:
    status = result.booking.status
    if result.verdict is Verdict.TOO_LATE:
        return "The session has started, so it can no longer be cancelled."
    if status is Status.REQUESTED:
        return "The enquiry has no answer yet; a therapist declines it instead."
    return f"The booking is already {status.replace('_', ' ')}."


def _json(text: str, status: int = 200) -> Response:
    response = Response(text, status=status, mimetype="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response


def _answer_response(answer: Answer) -> Response:
    response = _json(answer.body, answer.http_status)
    if answer.http_status == 201:
        reference = json.loads(answer.body)["reference"]
        address = f"{config.current().public_url}/api/v1/bookings/{reference}"
        response.headers["Location"] = address
    else:
        response.mimetype = problems.MEDIA_TYPE
    return response
