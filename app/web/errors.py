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
class Said:
    """What an error page says: what happened, and what to do next."""

    title: str
    what: str
    next_step: str


_BY_STATUS = {
    400: Said(
        "We could not read that",
        "Something in the request was incomplete or garbled, so nothing was done.",
        "Please go back, reload the page and try once more.",
    ),
    404: Said(
        "There is nothing here",
        "The address may be mistyped, or what was here has been removed.",
        "If you followed a link from an email, please open it from the email again.",
    ),
    405: Said(
        "This page cannot be used that way",
        "The page exists, but not for what was tried. Nothing was done.",
        "Please open the page afresh and use the buttons on it.",
    ),
    409: Said(
        "Something else happened first",
        "Things have changed since the page was opened, so nothing was done.",
        "Please open the page afresh to see where it stands now.",
    ),
    410: Said(
        "The time for this is over",
        "The link was good once, but it is not any more. Nothing was done.",
        "If you are a client, you can have fresh links sent to you; if you are a therapist,"
        " please sign in.",
    ),
    413: Said(
        "That was too much at once",
        "What was sent is larger than we take, so nothing was done.",
        "Please shorten the text and send it again.",
    ),
    422: Said(
        "Something in there is not right",
        "We understood the request, but could not use all of it. Nothing was done.",
        "Please go back, check what you entered and send it again.",
    ),
    429: Said(
        "That was a little fast",
        "Many requests came from your address in a short time, so we paused. Nothing was done.",
        "Please wait a minute, then try again.",
    ),
    500: Said(
        "Something broke on our side",
        "This is our fault, not yours, and it has been logged for us to look at.",
        "Please try again in a few minutes. If a booking is urgent, answer one of our emails.",
    ),
    503: Said(
        "We cannot reach our records just now",
        "Nothing was done and nothing was lost.",
        "Please wait a minute, then reload this page: what you entered is sent once more.",
    ),
}
_BAD_LINK = Said(
    "This link does not work",
    "It is incomplete, or was made for something else. Nothing was done.",
    "Email programs sometimes cut long links: please open it from the email again, or copy the"
    " whole address.",
)
_GONE_LINK = Said(
    "What this link opened is no longer here",
    "It may have been removed since the email was sent. Nothing was done.",
    "You can have fresh links to your bookings sent to you.",
)
_UNKNOWN = Said(
    "We lost sight of our records just now",
    "It broke off at the very moment of saving: all of it was done, or nothing.",
    "Please wait a minute, then open the page afresh and look before you try again.",
)
_BY_ERROR: tuple[tuple[type[DomainError], int, Said | None], ...] = (
    (LinkInvalid, 400, _BAD_LINK),
    (LinkExpired, 410, None),
    (LinkGone, 404, _GONE_LINK),
    (NotFound, 404, None),
    (InvalidFields, 422, None),
    (OutcomeUnknown, 503, _UNKNOWN),
    (StoreUnavailable, 503, None),
)
_RETRY_AFTER_S = {503: "5"}


def page(status: int, said: Said | None = None) -> Response:
    """An error page; what it says, unless given, follows from the status."""
    words = said or _BY_STATUS.get(status) or _BY_STATUS[400 if status < 500 else 500]
    response = make_response(render_template("errors/page.html", said=words, status=status), status)
    if status in _RETRY_AFTER_S:
        response.headers["Retry-After"] = _RETRY_AFTER_S[status]
    return response


def of_domain(error: DomainError) -> Response:
    """The page for a domain error that no endpoint handled itself."""
    if request.path.startswith(API):
        return problems.response(problems.of_domain(error))
    if isinstance(error, StoreUnavailable):
        problems.log_outage(error)
    for kind, status, said in _BY_ERROR:
        if isinstance(error, kind):
            return page(status, said)
    if error.code == "notes_key_wrong":
        return of_accident(error)
    return page(409, Said(_BY_STATUS[409].title, str(error), _BY_STATUS[409].next_step))


def of_http(error: HTTPException) -> Response | HTTPException:
    """The page for an error of the web layer, with the headers that it came with."""
    status = error.code or 500
    if error.response is not None or status < HTTPStatus.BAD_REQUEST:
        return error
    if request.path.startswith(API):
        return problems.of_http(error)
    response = page(status)
    for name, value in error.get_headers():
        if name != "Content-Type":
            response.headers[name] = value
    return response


def of_database(error: Exception) -> Response:
    """The page for a database that failed outside a transaction: the world's fault, or ours."""
    if not errors.is_outside(error):
        return of_accident(error)
    if isinstance(error, errors.CommitUnknown):
        return of_domain(OutcomeUnknown(errors.reason(error)))
    return of_domain(StoreUnavailable(errors.reason(error)))


def of_accident(error: Exception) -> Response:
    """The page for a fault of ours; the log names the endpoint, never the path with its token."""
    _log.error("request_failed", endpoint=request.endpoint, exc_info=error)
    if request.path.startswith(API):
        return problems.response(problems.problem("internal", _BY_STATUS[500].what))
    return page(500)


def register(app: Flask) -> None:
    """Answer every error with a page, or with problem details under /api/."""
    app.register_error_handler(DomainError, of_domain)
    app.register_error_handler(HTTPException, of_http)
    for kind in errors.DATABASE_ERRORS:
        app.register_error_handler(kind, of_database)
    # Flask's own last resort would log the path first.
    app.register_error_handler(Exception, of_accident)
