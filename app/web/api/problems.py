"""Problem details (RFC 9457): every error answer of the API."""

import structlog
from flask import Blueprint, Response, request
from werkzeug.exceptions import HTTPException

from app import config
from app.errors import DomainError, FieldError, InvalidFields, OutcomeUnknown, StoreUnavailable
from app.schemas import BookingDetail, FieldProblem, Problem
from app.web.api.input import InvalidBody

MEDIA_TYPE = "application/problem+json"

# HTTP status and title by code.
KINDS: dict[str, tuple[int, str]] = {
    "bad_request": (400, "The request could not be read"),
    "unauthorized": (401, "An API key is required"),
    "read_only_key": (403, "The API key may only read"),
    "not_found": (404, "This does not exist"),
    "method_not_allowed": (405, "This address does not accept that method"),
    "therapist_unavailable": (409, "The therapist takes no bookings right now"),
    "free_consultation_used": (409, "The free initial consultation has been used"),
    "slot_taken": (409, "The time is taken"),
    "proposal_open": (409, "Another time is proposed already"),
    "no_proposal": (409, "No other time is proposed"),
    "move_not_allowed": (409, "The booking does not allow this in its present state"),
    "body_too_large": (413, "The body is too large"),
    "invalid_body": (422, "The body is not a JSON object"),
    "invalid_fields": (422, "Some fields are invalid"),
    "idempotency_key_reused": (422, "The Idempotency-Key belongs to another request"),
    "too_many_requests": (429, "Too many requests"),
    "internal": (500, "Something went wrong on our side"),
    "store_unavailable": (503, "The service cannot reach its database"),
}
_BY_STATUS = {status: code for code, (status, _) in KINDS.items() if status not in (409, 422)}
_DETAILS = {
    "unauthorized": "Please send Authorization: Bearer and one of this service's API keys.",
    "read_only_key": "Nothing was done. Please use a key that may write.",
    "not_found": "There is nothing at this address.",
    "method_not_allowed": "Please use a method that the Allow header names.",
    "body_too_large": "Please send a body of at most 256 KiB.",
    "too_many_requests": "Please wait for the seconds in Retry-After, then send requests slower.",
    "internal": "This is our fault, and we have a record of it. Please try again later.",
    "store_unavailable": "Nothing was done. Please try again in a moment.",
}
_OUTCOME_UNKNOWN = (
    "We lost the connection while saving: the request either went through completely or not at"
    " all. Please send it again in a moment, with the same Idempotency-Key."
)
_RETRY_AFTER_S = "5"
_MAX_ERRORS = 50

_log = structlog.get_logger("mindsum")


def problem(
    code: str,
    detail: str | None = None,
    errors: tuple[FieldError, ...] = (),
    booking: BookingDetail | None = None,
) -> Problem:
    """A problem of one of KINDS; `detail` says what happened this time."""
    status, title = KINDS[code]
    field_problems = [FieldProblem(field=each.field, message=each.message) for each in errors]
    return Problem(
        type=f"{config.current().public_url}/api/problems/{code}",
        title=title,
        status=status,
        detail=detail or _DETAILS[code],
        code=code,
        errors=field_problems[:_MAX_ERRORS] or None,
        booking=booking,
    )


def response(problem: Problem) -> Response:
    response = Response(problem.text(), status=problem.status, mimetype=MEDIA_TYPE)
    response.headers["Cache-Control"] = "no-store"
    if problem.code == "unauthorized":
        response.headers["WWW-Authenticate"] = 'Bearer realm="Mindsum Bookings"'
    if problem.code == "store_unavailable":
        response.headers["Retry-After"] = _RETRY_AFTER_S
    return response


def from_domain_error(error: DomainError) -> Problem:
    """The error's own code if callers know it, otherwise `internal`."""
    if isinstance(error, InvalidFields):
        detail = "Nothing was done. `errors` names each field and says what is right."
        return problem(error.code, detail, error.errors)
    if isinstance(error, InvalidBody):
        return problem(error.code, str(error), (FieldError("body", str(error)),))
    if isinstance(error, StoreUnavailable):
        log_outage(error)
        return problem(error.code, _OUTCOME_UNKNOWN if isinstance(error, OutcomeUnknown) else None)
    if error.code not in KINDS:
        _log.error("api_failed", error=type(error).__name__)
        return problem("internal")
    return problem(error.code, str(error))


def log_outage(error: StoreUnavailable) -> None:
    _log.error("store_unavailable", endpoint=request.endpoint, why=str(error))


def http_error_response(error: HTTPException) -> Response:
    """The problem of a Flask or Werkzeug error, with that error's headers."""
    status = error.code or 500
    code = _BY_STATUS.get(status, "bad_request" if status < 500 else "internal")
    problem_response = response(problem(code, _DETAILS.get(code, error.description or "")))
    for name, value in error.get_headers():
        if name != "Content-Type":
            problem_response.headers[name] = value
    return problem_response


def register(blueprint: Blueprint) -> None:
    blueprint.register_error_handler(DomainError, lambda error: response(from_domain_error(error)))
    blueprint.register_error_handler(HTTPException, http_error_response)
    # A handler of the application for one status would have priority over the one above.
    for status in _BY_STATUS:
        blueprint.register_error_handler(status, http_error_response)
