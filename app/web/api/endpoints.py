"""The HTTP API under /api: JSON both ways, a key on every call, problem details for every no."""

import hashlib
import hmac
import json
import re
from datetime import UTC, datetime, time, timedelta
from functools import partial
from typing import Any

from flask import Blueprint, Response, request
from werkzeug.exceptions import HTTPException

from app import clock, config
from app.errors import DomainError, FieldError, InvalidFields, NotFound
from app.rules.lifecycle import Status, Verdict, Via
from app.schemas import BookingDetail, BookingOut, TherapistDetail, TherapistOut
from app.services import availability, idempotency, validation
from app.services.bookings import cancel, ledger, transitions
from app.services.bookings.request import request_booking
from app.services.bookings.transitions import MoveResult
from app.services.idempotency import Answer
from app.services.therapists import ranking
from app.store import queries
from app.store.models import Booking, Therapist
from app.web.api import problems
from app.web.api.input import BookingIn, CancelIn, SlotsIn, checked, json_object
from app.web.security import API_LIMIT, csrf, limiter

blueprint = Blueprint("api", __name__, url_prefix="/api")
problems.register(blueprint)
csrf.exempt(blueprint)

_PUBLIC = frozenset({"api.openapi_document", "api.problem_kind"})
_IDEMPOTENCY_KEY = re.compile(r"[\x21-\x7e]{1,255}")


def _caller() -> str:
    """Whom a rate limit counts: a good key's holder, otherwise the address it comes from."""
    key = _api_key()
    return hashlib.sha256(key.encode()).hexdigest() if key else request.remote_addr or "unknown"


limiter.shared_limit(API_LIMIT, scope="api", key_func=_caller)(blueprint)


@blueprint.before_app_request
def guard() -> Response | None:
    """Ask for a key under /api, then answer for addresses that are not there."""
    if request.path != "/api" and not request.path.startswith("/api/"):
        return None
    if request.endpoint not in _PUBLIC and _api_key() is None:
        detail = "Please send Authorization: Bearer and one of this service's API keys."
        return problems.response(problems.problem("unauthorized", detail))
    error = request.routing_exception
    is_error = isinstance(error, HTTPException) and (error.code or 500) >= 400
    return problems.http_error_response(error) if is_error and error else None


@blueprint.get("/openapi.json")
def openapi_document() -> Response:
    """The description of this API."""
    # Its library is a sixth of what a process has to load, and hardly anybody asks.
    from app.web.api import openapi  # noqa: PLC0415

    return Response(openapi.document(config.current().public_url), mimetype="application/json")


@blueprint.get("/problems/<code>")
def problem_kind(code: str) -> Response:
    """What a problem's `type` leads to."""
    if code not in problems.KINDS:
        raise NotFound("such problem")
    status, title = problems.KINDS[code]
    return _json(json.dumps({"code": code, "status": status, "title": title}))


@blueprint.post("/v1/bookings")
def create_booking() -> Response:
    """Ask for a session; with an Idempotency-Key, once."""
    now = clock.now()
    body = json_object(request.get_data())
    work = partial(_book, _booking_input(body), now)
    key = _idempotency_key()
    if key is None:
        return _answer_response(work())
    return _answer_response(
        idempotency.answer_once(key, _body_hash(body), now=now, work=work, refusal=_refusal)
    )


@blueprint.get("/v1/bookings/<reference>")
def show_booking(reference: str) -> Response:
    """One booking, as the clock has it."""
    now = clock.now()
    booking = transitions.refresh(_checked_reference(reference), via=Via.API, now=now)
    return _json(_booking_detail(booking, now).text())


@blueprint.post("/v1/bookings/<reference>/cancel")
def cancel_booking(reference: str) -> Response:
    """Cancel for the client or the therapist; a client's open enquiry is withdrawn."""
    now = clock.now()
    booking = queries.booking_by_reference(_checked_reference(reference))
    params = checked(CancelIn, json_object(request.get_data()))
    outcome = cancel.cancel(booking, by=params.by, via=Via.API, now=now)
    whole = _booking_detail(outcome.booking, now)
    if outcome.is_done:
        return _json(whole.text())
    return problems.response(
        problems.problem("move_not_allowed", _refusal_reason(outcome), (), whole)
    )


@blueprint.get("/v1/therapists")
def list_therapists() -> Response:
    """Therapists on Find a Therapist, best first."""
    return _list(
        [TherapistOut.from_therapist(each) for each in queries.listed_therapists(clock.now())]
    )


@blueprint.get("/v1/therapists/<slug>")
def show_therapist(slug: str) -> Response:
    """One therapist, listed or not, with standing and ranking."""
    therapist = _therapist(slug)
    factors = ranking.explain(therapist, clock.now())
    return _json(TherapistDetail.with_factors(therapist, factors).text())


@blueprint.get("/v1/therapists/<slug>/slots")
def list_slots(slug: str) -> Response:
    """One therapist's open starts on the days params for; days are UTC, as the starts are."""
    now = clock.now()
    therapist = _therapist(slug)
    params = checked(SlotsIn, {"from": now.date().isoformat(), **request.args.to_dict()})
    from_at = datetime.combine(params.from_on, time(), UTC)
    until_at = from_at + timedelta(days=params.days)
    starts = availability.open_times(
        therapist, params.kind, from_at=from_at, until_at=until_at, now=now
    )
    return _json(json.dumps([availability.OpenSlot(therapist, start).key for start in starts]))


def _api_key() -> str | None:
    """The key that this request shows, if it is one of ours; how long it takes tells nothing."""
    given = request.authorization
    if given is None or given.type != "bearer" or not given.token:
        return None
    token = given.token.encode()
    matching = [
        key for key in config.current().api_keys if hmac.compare_digest(key.encode(), token)
    ]
    return matching[0] if matching else None


def _booking_input(body: dict[str, Any]) -> BookingIn:
    """The request in the body: an unknown therapist comes before any other fault."""
    slug = body.get("therapist")
    if isinstance(slug, str) and slug:
        _therapist(slug)
    return checked(BookingIn, body)


def _book(params: BookingIn, now: datetime) -> Answer:
    booking = request_booking(params.request(), via=Via.API, now=now)
    return Answer(201, BookingOut.from_booking(booking, now).text())


def _therapist(slug: str) -> Therapist:
    try:
        return queries.therapist_by_slug(validation.slug(slug))
    except ValueError:
        raise NotFound("therapist") from None


def _checked_reference(reference: str) -> str:
    try:
        return validation.reference(reference)
    except ValueError:
        raise NotFound("booking") from None


def _idempotency_key() -> str | None:
    """The Idempotency-Key, made the caller's own by their API key. Raises InvalidFields."""
    given = request.headers.get("Idempotency-Key")
    if given is None:
        return None
    if not _IDEMPOTENCY_KEY.fullmatch(given):
        wanted = "Please give 1 to 255 visible ASCII characters, without spaces."
        raise InvalidFields(FieldError("Idempotency-Key", wanted))
    return hashlib.sha256(f"{_api_key()}\n{given}".encode()).hexdigest()


def _body_hash(body: dict[str, Any]) -> str:
    """The same for the same JSON, however it is spaced and ordered."""
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _refusal(error: DomainError) -> Answer:
    problem = problems.from_domain_error(error)
    return Answer(problem.status, problem.text())


def _booking_detail(booking: Booking, now: datetime) -> BookingDetail:
    return BookingDetail.with_history(
        booking, queries.timeline_of(booking), ledger.lines_of(booking), now
    )


def _refusal_reason(outcome: MoveResult) -> str:
    status = outcome.booking.status
    if outcome.verdict is Verdict.TOO_LATE:
        return "The session has started, so nobody can cancel it any more."
    if status is Status.REQUESTED:
        return "The enquiry is not answered yet: a therapist declines it instead."
    return f"The booking is already {status.replace('_', ' ')}."


def _json(text: str, status: int = 200) -> Response:
    response = Response(text, status=status, mimetype="application/json")
    response.headers["Cache-Control"] = "no-store"
    return response


def _list(items: list[Any]) -> Response:
    return _json(json.dumps([item.model_dump(mode="json") for item in items]))


def _answer_response(answer: Answer) -> Response:
    response = _json(answer.body, answer.http_status)
    if answer.http_status == 201:
        reference = json.loads(answer.body)["reference"]
        place = f"{config.current().public_url}/api/v1/bookings/{reference}"
        response.headers["Location"] = place
    else:
        response.mimetype = problems.MEDIA_TYPE
    return response
