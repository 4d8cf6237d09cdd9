"""Error pages: each says what happened and what to do next, and never whose booking it was."""

from dataclasses import dataclass
from http import HTTPStatus

import structlog
from flask import Flask, Response, make_response, render_template, request
from werkzeug.exceptions import HTTPException

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
from app.web.api import problems

API = "/api/"
_log = structlog.get_logger("mindsum")


@dataclass(frozen=True, slots=True)
class ErrorText:
    """What an error page says: what happened, and what to do next."""

    title: str
    what_happened: str
    next_step: str


_BY_STATUS = {
    400: ErrorText(
        "We could not read that",
        "Something in the request was incomplete or garbled, so nothing was done.",
        "Please go back, reload the page and try once more.",
    ),
    404: ErrorText(
        "There is nothing here",
        "The address may be mistyped, or what was here has been removed.",
        "If you followed a link from an email, please open it from the email again.",
    ),
    405: ErrorText(
        "This page cannot be used that way",
        "The page exists, but not for what was tried. Nothing was done.",
        "Please open the page afresh and use the buttons on it.",
    ),
    409: ErrorText(
        "Something else happened first",
        "Things have changed since the page was opened, so nothing was done.",
        "Please open the page afresh to see where it stands now.",
    ),
    410: ErrorText(
        "The time for this is over",
        "The link was good once, but it is not any more. Nothing was done.",
        "If you are a client, you can have fresh links sent to you; if you are a therapist,"
        " please sign in.",
    ),
    413: ErrorText(
        "That was too much at once",
        "What was sent is larger than we take, so nothing was done.",
        "Please shorten the text and send it again.",
    ),
    422: ErrorText(
        "Something in there is not right",
        "We understood the request, but could not use all of it. Nothing was done.",
        "Please go back, check what you entered and send it again.",
    ),
    429: ErrorText(
        "That was a little fast",
        "Many requests came from your address in a short time, so we paused. Nothing was done.",
        "Please wait a minute, then try again.",
    ),
    500: ErrorText(
        "Something broke on our side",
        "This is our fault, not yours, and it has been logged for us to look at.",
        "Please try again in a few minutes. If a booking is urgent, answer one of our emails.",
    ),
    503: ErrorText(
        "We cannot reach our records just now",
        "Nothing was done and nothing was lost.",
        "Please wait a minute, then reload this page: what you entered is sent once more.",
    ),
}
_LINK_INVALID = ErrorText(
    "This link does not work",
    "It is incomplete, or was made for something else. Nothing was done.",
    "Email programs sometimes cut long links: please open it from the email again, or copy the"
    " whole address.",
)
_LINK_GONE = ErrorText(
    "What this link opened is no longer here",
    "It may have been removed since the email was sent. Nothing was done.",
    "You can have fresh links to your bookings sent to you.",
)
_OUTCOME_UNKNOWN = ErrorText(
    "We lost sight of our records just now",
    "It broke off at the very moment of saving: all of it was done, or nothing.",
    "Please wait a minute, then open the page afresh and look before you try again.",
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


def error_page(status: int, text: ErrorText | None = None) -> Response:
    """An error page; what it says, unless given, follows from the status."""
    text = text or _BY_STATUS.get(status) or _BY_STATUS[400 if status < 500 else 500]
    response = make_response(render_template("errors/page.html", text=text, status=status), status)
    if status in _RETRY_AFTER_S:
        response.headers["Retry-After"] = _RETRY_AFTER_S[status]
    return response


def domain_error_page(error: DomainError) -> Response:
    """The page for a domain error that no endpoint handled itself."""
    if request.path.startswith(API):
        return problems.response(problems.from_domain_error(error))
    if isinstance(error, StoreUnavailable):
        problems.log_outage(error)
    for kind, status, text in _BY_ERROR:
        if isinstance(error, kind):
            return error_page(status, text)
    if error.code == "notes_key_wrong":
        return unexpected_error_page(error)
    return error_page(409, ErrorText(_BY_STATUS[409].title, str(error), _BY_STATUS[409].next_step))


def http_error_page(error: HTTPException) -> Response | HTTPException:
    """The page for an error of the web layer, with the headers that it came with."""
    status = error.code or 500
    if error.response is not None or status < HTTPStatus.BAD_REQUEST:
        return error
    if request.path.startswith(API):
        return problems.http_error_response(error)
    response = error_page(status)
    for name, value in error.get_headers():
        if name != "Content-Type":
            response.headers[name] = value
    return response


def database_error_page(error: Exception) -> Response:
    """The page for a database that failed outside a transaction: the world's fault, or ours."""
    if not errors.is_environmental(error):
        return unexpected_error_page(error)
    if isinstance(error, errors.CommitUnknown):
        return domain_error_page(OutcomeUnknown(errors.reason(error)))
    return domain_error_page(StoreUnavailable(errors.reason(error)))


def unexpected_error_page(error: Exception) -> Response:
    """The page for a fault of ours; the log names the endpoint, never the path with its token."""
    _log.error("request_failed", endpoint=request.endpoint, exc_info=error)
    if request.path.startswith(API):
        return problems.response(problems.problem("internal", _BY_STATUS[500].what_happened))
    return error_page(500)


def register(app: Flask) -> None:
    """Answer every error with a page, or with problem details under /api/."""
    app.register_error_handler(DomainError, domain_error_page)
    app.register_error_handler(HTTPException, http_error_page)
    for kind in errors.DATABASE_ERRORS:
        app.register_error_handler(kind, database_error_page)
    # Flask's own last resort would log the path first.
    app.register_error_handler(Exception, unexpected_error_page)
