"""Problem details (RFC 9457): every way in which the API says no."""

import structlog
from flask import Blueprint, Response, request
from werkzeug.exceptions import HTTPException

from app import config
from app.errors import DomainError, FieldError, InvalidFields, OutcomeUnknown, StoreUnavailable
from app.schemas import BookingDetail, FieldProblem, Problem
from app.web.api.input import BadBodyError

MEDIA_TYPE = "application/problem+json"

KINDS: dict[str, tuple[int, str]] = {
    "bad_request": (400, "The request could not be read"),
    "unauthorized": (401, "An API key is needed"),
    "not_found": (404, "There is no such thing"),
    "method_not_allowed": (405, "This address does not take that method"),
    "therapist_unavailable": (409, "The therapist takes no bookings at present"),
    "free_consultation_used": (409, "The free initial consultation has been used"),
    "slot_taken": (409, "The time is taken"),
    "move_not_allowed": (409, "The booking does not allow that any more, or not yet"),
    "body_too_large": (413, "The body is too large"),
    "invalid_body": (422, "The body is not a JSON object"),
    "invalid_fields": (422, "Some fields are not right"),
    "idempotency_key_reused": (422, "The Idempotency-Key belongs to another request"),
    "too_many_requests": (429, "Too many requests"),
    "internal": (500, "Something broke on our side"),
    "store_unavailable": (503, "The service cannot reach its records"),
}
"""Every `code` with its HTTP status and its title."""

_BY_STATUS = {status: code for code, (status, _) in KINDS.items() if status not in (409, 422)}
_DETAILS = {
    "not_found": "There is nothing at this address.",
    "method_not_allowed": "Please use a method that the Allow header names.",
    "body_too_large": "Please send a smaller body; 256 KiB is the most.",
    "too_many_requests": "Please wait as long as Retry-After says, then go on more slowly.",
    "internal": "The fault is ours and has been logged; please try again later.",
    "store_unavailable": "Nothing was done; please try again in a moment.",
}
_OUTCOME_UNKNOWN = (
    "It broke off while saving: all of it was done, or nothing. Please send the same request"
    " again in a moment, with its Idempotency-Key."
)
_RETRY_AFTER_S = "5"
_MOST_ERRORS = 50

_log = structlog.get_logger("mindsum")


def problem(
    code: str,
    detail: str,
    errors: tuple[FieldError, ...] = (),
    booking: BookingDetail | None = None,
) -> Problem:
    """The problem that `code` names, with what happened this time."""
    status, title = KINDS[code]
    return Problem(
        type=f"{config.current().public_url}/api/problems/{code}",
        title=title,
        status=status,
        detail=detail,
        code=code,
        errors=[FieldProblem(field=e.field, message=e.message) for e in errors[:_MOST_ERRORS]]
        or None,
        booking=booking,
    )


def response(problem: Problem) -> Response:
    """The HTTP response that carries a problem."""
    built = Response(problem.text(), status=problem.status, mimetype=MEDIA_TYPE)
    built.headers["Cache-Control"] = "no-store"
    if problem.code == "unauthorized":
        built.headers["WWW-Authenticate"] = 'Bearer realm="Mindsum Bookings"'
    if problem.code == "store_unavailable":
        built.headers["Retry-After"] = _RETRY_AFTER_S
    return built


def from_domain_error(error: DomainError) -> Problem:
    """A domain error in the API's words; one that no caller can mend becomes `internal`."""
    if isinstance(error, InvalidFields):
        return problem(error.code, "Nothing was done; `errors` says what is right.", error.errors)
    if isinstance(error, BadBodyError):
        return problem(error.code, str(error), (FieldError("body", str(error)),))
    if error.code not in KINDS:
        _log.error("api_failed", error=type(error).__name__)
        return problem("internal", _DETAILS["internal"])
    if isinstance(error, StoreUnavailable):
        log_outage(error)
        is_known = not isinstance(error, OutcomeUnknown)
        return problem(error.code, _DETAILS[error.code] if is_known else _OUTCOME_UNKNOWN)
    return problem(error.code, str(error))


def log_outage(error: StoreUnavailable) -> None:
    """One line for ops about a request that the database did not let us serve."""
    _log.error("store_unavailable", endpoint=request.endpoint, why=str(error))


def http_error_response(error: HTTPException) -> Response:
    """An error of the web layer in the API's words, with the headers it came with."""
    status = error.code or 500
    code = _BY_STATUS.get(status, "bad_request" if status < 500 else "internal")
    built = response(problem(code, _DETAILS.get(code, error.description or "")))
    for name, value in error.get_headers():
        if name != "Content-Type":
            built.headers[name] = value
    return built


def register(blueprint: Blueprint) -> None:
    """Have every error of the blueprint's endpoints answered by problem details."""
    blueprint.register_error_handler(DomainError, lambda error: response(from_domain_error(error)))
    blueprint.register_error_handler(HTTPException, http_error_response)
    # A handler that the application has for a status would otherwise come before the one above.
    for status in _BY_STATUS:
        blueprint.register_error_handler(status, http_error_response)
