"""Error pages, and which error gets which: each says what happened and what to do next."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import structlog
from flask import Flask, Response, make_response, render_template, request
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from app.errors import (
    DomainError,
    InvalidFields,
    LinkExpired,
    LinkGone,
    LinkInvalid,
    NotFound,
    OutcomeUnknown,
    StoreUnavailable,
)
from app.store.db import errors
from app.web import typed_fields
from app.web.api import problems

API = "/api/"
_log = structlog.get_logger("mindsum")


@dataclass(frozen=True, slots=True)
class ErrorText:
    title: str
    what_happened: str
    next_step: str


_BY_STATUS = {
    400: ErrorText(
        "We could not read that",
        "Part of the request was missing or damaged, so nothing was done.",
        "Please go back, reload the page and try again.",
    ),
    404: ErrorText(
        "This page does not exist",
        "There is nothing for you to see at this address. It may be mistyped or cut off.",
        "If you followed a link in an email, please open it from the email again.",
    ),
    405: ErrorText(
        "This page cannot be used that way",
        "The page exists, but does not accept this kind of request. Nothing was done.",
        "Please open the page again and use its buttons.",
    ),
    409: ErrorText(
        "Something changed in the meantime",
        "Things have changed since you opened the page, so nothing was done.",
        "Please open the page again to see how things are now.",
    ),
    410: ErrorText(
        "This link has expired",
        "The link no longer works. Nothing was done.",
        "If you are a client, we can send you new links. If you are a therapist, please sign in.",
    ),
    413: ErrorText(
        "That was too long",
        "What you sent is larger than we accept, so nothing was done.",
        "Please go back, shorten the text and send it again.",
    ),
    422: ErrorText(
        "Please check what you entered",
        "We could not use part of what you sent, so nothing was done.",
        "Please go back, check what you entered and send it again.",
    ),
    429: ErrorText(
        "Please slow down a little",
        "We got many requests from your network in a short time, so this one was not handled.",
        "Please wait a minute, then try again.",
    ),
    500: ErrorText(
        "Something went wrong on our side",
        "This is our fault, not yours, and we have a record of it.",
        "Please try again in a few minutes. If a booking is urgent, reply to one of our emails.",
    ),
    503: ErrorText(
        "We cannot reach our records right now",
        "Nothing was done and nothing was lost.",
        "Please wait a minute, then reload this page. That sends what you entered again.",
    ),
}
_LINK_INVALID = ErrorText(
    "This link does not work",
    "It is incomplete, or was made for something else. Nothing was done.",
    "Email programs sometimes cut long links. Please open it from the email again, or copy the"
    " whole address.",
)
_LINK_GONE = ErrorText(
    "This link leads nowhere now",
    "The booking may have been removed since we sent the email. Nothing was done.",
    "We can send you new links to your bookings.",
)
_FORM_TOO_OLD = ErrorText(
    "Please send it again",
    "The page was open for a long time, or your browser did not keep the cookie that protects this"
    " form. Nothing was done.",
    "Please check what you typed below, if anything, and send it again.",
)
_PHOTO_TOO_LARGE = ErrorText(
    "That photo is too large",
    "A photo may have 5 MB at most, so nothing was done.",
    "Please go back, where what you typed is still there, and choose a smaller photo.",
)
_OUTCOME_UNKNOWN = ErrorText(
    "We lost the connection while saving",
    "Your request either went through completely or not at all.",
    "Please wait a minute, reload the page and check before you try again.",
)
_BY_ERROR: tuple[tuple[type[DomainError], int, ErrorText | None], ...] = (
    (LinkInvalid, 400, _LINK_INVALID),
    (LinkExpired, 410, None),
    (LinkGone, 404, _LINK_GONE),
    (NotFound, 404, None),
    (InvalidFields, 422, None),
    (OutcomeUnknown, 503, _OUTCOME_UNKNOWN),
    (StoreUnavailable, 503, None),
)
_RETRY_AFTER_S = {503: "5"}
# After the others a form that is sent again gets the same answer.
_MAY_HELP = frozenset({409, 422, 429, 500, 503})


def _page(status: int, text: ErrorText | None = None, error: Exception | None = None) -> Response:
    text = text or _BY_STATUS.get(status) or _BY_STATUS[400 if status < 500 else 500]
    page = render_template("errors/page.html", text=text, status=status, **_typed(status, error))
    response = make_response(page, status)
    if status in _RETRY_AFTER_S:
        response.headers["Retry-After"] = _RETRY_AFTER_S[status]
    return response


def _typed(status: int, error: Exception | None) -> dict[str, Any]:
    """What was typed into the form that gets this answer, for the page."""
    fields = typed_fields.sent()
    is_any = any(field.label for field in fields)
    return {
        "kept": fields if is_any else [],
        "needs_token": typed_fields.needs_token(),
        "may_send_again": status in _MAY_HELP or isinstance(error, CSRFError),
    }


def _domain_error_page(error: DomainError) -> Response:
    if request.path.startswith(API):
        return problems.response(problems.from_domain_error(error))
    if error.is_fault and not isinstance(error, StoreUnavailable):
        return _unexpected_error_page(error)
    if isinstance(error, StoreUnavailable):
        problems.log_outage(error)
    for kind, status, text in _BY_ERROR:
        if isinstance(error, kind):
            return _page(status, text)
    conflict = _BY_STATUS[409]
    return _page(409, ErrorText(conflict.title, str(error), conflict.next_step))


def _http_error_page(error: HTTPException) -> Response | HTTPException:
    status = error.code or 500
    if error.response is not None or status < HTTPStatus.BAD_REQUEST:
        return error
    if request.path.startswith(API):
        return problems.http_error_response(error)
    response = _page(status, _text_of(error), error)
    # Headers such as Allow and Retry-After.
    for name, value in error.get_headers():
        if name != "Content-Type":
            response.headers[name] = value
    return response


def _text_of(error: HTTPException) -> ErrorText | None:
    if isinstance(error, RequestEntityTooLarge) and request.endpoint == "photo.change":
        return _PHOTO_TOO_LARGE
    return _FORM_TOO_OLD if isinstance(error, CSRFError) else None


def _fault_page(error: Exception) -> Response:
    # Of the database outside a transaction; inside, it is raised as StoreUnavailable already.
    if not errors.is_environmental(error):
        return _unexpected_error_page(error)
    if isinstance(error, errors.CommitUnknown):
        return _domain_error_page(OutcomeUnknown(errors.reason(error)))
    return _domain_error_page(StoreUnavailable(errors.reason(error)))


def _unexpected_error_page(error: Exception) -> Response:
    # The endpoint, never the path: it may hold a token.
    _log.error("request_failed", endpoint=request.endpoint, exc_info=error)
    if request.path.startswith(API):
        return problems.response(problems.problem("internal"))
    return _page(500)


def register(app: Flask) -> None:
    app.register_error_handler(DomainError, _domain_error_page)
    app.register_error_handler(HTTPException, _http_error_page)
    # Flask's own handler would log the path.
    app.register_error_handler(Exception, _fault_page)
