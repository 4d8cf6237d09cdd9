"""The guard of pages behind sign-in, of therapists and of ops: session, CSRF token, last use."""

from http import HTTPStatus

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError

from app.store.models import Area
from app.web import access, auth, typed_fields
from app.web.security import csrf


def require_sign_in(blueprint: Blueprint, area: Area) -> None:
    blueprint.before_request(lambda: _guard(area))
    # The guard checks the token itself, after sign-in, so that no typed text is lost.
    csrf.exempt(blueprint)


def _guard(area: Area) -> ResponseReturnValue | None:
    session = auth.current_session(area)
    if session is None:
        if request.method in ("GET", "HEAD"):
            return redirect(url_for(auth.SIGN_IN_PAGES[area], next=_this_page(area)))
        return _send_again_page(area, HTTPStatus.UNAUTHORIZED)
    if session.ops_address is not None:
        access.acts_on_ops_desk(session.ops_address)
    try:
        csrf.protect()
    except CSRFError:
        return _send_again_page(area, HTTPStatus.BAD_REQUEST)
    auth.record_use(area)
    return None


def _this_page(area: Area) -> str:
    # What ops searched for is not to be kept with the link.
    return request.path if area is Area.OPS else request.full_path.rstrip("?")


def _send_again_page(area: Area, status: HTTPStatus) -> ResponseReturnValue:
    """Keep a form's typed texts when its session has ended, and ask to send the form again."""
    page = render_template(
        "dashboard/send_again.html",
        fields=typed_fields.sent(),
        is_signed_in=auth.current_session(area) is not None,
        sign_in_path=url_for(auth.SIGN_IN_PAGES[area]),
        next=auth.safe_next_path(request.path.rpartition("/")[0], area),
    )
    return page, status
