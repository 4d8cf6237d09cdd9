"""The page after a request whose address is to be confirmed: where to look, and to send again."""

from http import HTTPStatus

from flask import Blueprint, make_response, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue

from app import clock, config
from app.services import validation
from app.services.bookings import confirm
from app.store.models import PendingRequest
from app.store.queries.pending import pending_by_key
from app.web import cookies
from app.web.security import PUBLIC_FORM_LIMIT, limiter

blueprint = Blueprint("unconfirmed", __name__)

# The visitor's session holds the key of their last request, and a corrected address, encrypted. The
# row takes no correction once the request is confirmed, but the page must not tell that.
_SESSION_KEY, _CORRECTED = "unconfirmed", "corrected"


def must_confirm(address: str) -> bool:
    match config.current().confirm_address:
        case "never":
            return False
        case "always":
            return True
    return not cookies.has_confirmed(address)


def remember(key: str) -> None:
    session[_SESSION_KEY] = key
    session.pop(_CORRECTED, None)


def forget() -> None:
    session.pop(_SESSION_KEY, None)
    session.pop(_CORRECTED, None)


def current(slug: str) -> PendingRequest | None:
    """The last request of this browser to that therapist, confirmed or not."""
    pending = pending_by_key(session.get(_SESSION_KEY, ""))
    return pending if pending is not None and pending.therapist.slug == slug else None


def page(pending: PendingRequest, *, typed: str | None = None, error: str = "") -> str:
    # It stays the same when the request is confirmed: that is for the mailbox's owner to know.
    address = cookies.opened(session.get(_CORRECTED, "")) or pending.email
    return render_template(
        "public/unconfirmed.html",
        pending=pending,
        address=address,
        zone=pending.typed["timezone"],
        kept_minutes=int(config.current().unconfirmed_minutes),
        typed=address if typed is None else typed,
        error=error,
        is_sent_again=request.args.get("sent") == "again",
    )


@blueprint.post("/therapists/<slug>/requested")
@limiter.limit(PUBLIC_FORM_LIMIT)
def send_again(slug: str) -> ResponseReturnValue:
    pending, typed = current(slug), request.form.get("email", "")
    try:
        address = validation.email(typed)
    except ValueError as error:
        shown = page(pending, typed=typed, error=str(error)) if pending else _nothing_typed()
        return shown, HTTPStatus.UNPROCESSABLE_ENTITY
    if pending is not None:
        confirm.ask_for_link(pending.key, address, clock.now())
        session[_CORRECTED] = cookies.sealed(address)
    path = url_for("directory.requested", slug=slug, sent="again")
    response = make_response(redirect(path, HTTPStatus.SEE_OTHER))
    cookies.remember_asked(response, address)
    return response


def _nothing_typed() -> str:
    return render_template("public/requested.html", booking=None)
