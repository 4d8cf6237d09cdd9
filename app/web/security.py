"""Doors and locks: security headers, rate limits, CSRF, and which paths never see a cookie."""

import logging
from http import HTTPStatus
from io import BytesIO
from urllib.parse import unquote_to_bytes

from flask import Flask, Request, Response, abort, current_app, request
from flask.sessions import NullSession, SecureCookieSession, SecureCookieSessionInterface
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_wtf import CSRFProtect
from werkzeug.middleware.proxy_fix import ProxyFix

from app.config import Settings

PUBLIC_FORM_LIMIT = "10 per minute"
SIGN_IN_LIMIT = "5 per minute"
LINK_LIMIT = "60 per minute"
API_LIMIT = "600 per minute"

LARGEST_HEARD_OUT = 64 * 1024 * 1024
"""Bytes; whoever announces or sends more is cut off."""

LINKS = "/link/"
WITHOUT_COOKIES = (
    "/link/accept/",
    "/link/decline/",
    "/link/manage/",
    "/link/choose/",
    "/api/",
    "/static/",
    "/bootstrap/",
    "/healthz",
    "/readyz",
    "/metrics",
)
"""Paths whose requests neither read nor set the session cookie."""

CONTENT_POLICY = "; ".join(
    (
        "default-src 'none'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
_STATIC = frozenset({"static", "bootstrap.static"})
_FOR_SEARCH_ENGINES = frozenset({"directory.find", "directory.profile", *_STATIC})

limiter = Limiter(key_func=get_remote_address)
csrf = CSRFProtect()


class DoorSessions(SecureCookieSessionInterface):
    """The session cookie, on the paths that may have one."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """The visitor's session; one that refuses to be written on paths without cookies."""
        if request.path.startswith(WITHOUT_COOKIES):
            return NullSession()
        return super().open_session(app, request)


def take_chunks() -> None:
    """Give a body of no announced length the one it turns out to have; 413 if that is too much.

    Werkzeug would quietly cut it at the limit.
    """
    if request.content_length is not None or request.method in {"GET", "HEAD", "OPTIONS"}:
        return
    limit, environ, taken = current_app.config["MAX_CONTENT_LENGTH"], request.environ, b""
    while len(taken) <= limit and (chunk := environ["wsgi.input"].read(65_536)):
        taken += chunk
    if len(taken) > limit:
        abort(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    environ |= {"wsgi.input": BytesIO(taken), "CONTENT_LENGTH": str(len(taken))}


def hear_out(response: Response) -> Response:
    """Take in a body that was refused for its size: who is still sending it hears no answer."""
    limit, length = current_app.config["MAX_CONTENT_LENGTH"], request.content_length
    if length is None:
        is_refused = response.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        length = LARGEST_HEARD_OUT if is_refused else 0
    if limit < length <= LARGEST_HEARD_OUT:
        body = request.environ["wsgi.input"]
        while length > 0 and (taken := len(body.read(min(length, 65_536)))):
            length -= taken
    return response


def protect(response: Response) -> Response:
    """Add the security headers, except where an endpoint has set its own."""
    is_link = request.path.startswith(LINKS)
    headers = response.headers
    headers.setdefault("Content-Security-Policy", CONTENT_POLICY)
    headers.setdefault("Referrer-Policy", "no-referrer" if is_link else "same-origin")
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("X-Frame-Options", "DENY")
    headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
    headers.setdefault("Cross-Origin-Resource-Policy", "same-origin")
    headers.setdefault("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
    if request.endpoint not in _FOR_SEARCH_ENGINES:
        headers.setdefault("X-Robots-Tag", "noindex")
    if request.endpoint not in _STATIC:
        headers.setdefault("Cache-Control", "no-store")
    return response


def refuse_garbage() -> None:
    """400 for what is no UTF-8, and for an address with the one character no database takes."""
    sent = [request.query_string]
    if request.mimetype == "application/x-www-form-urlencoded":
        sent.append(request.get_data())
    try:
        texts = [unquote_to_bytes(each).decode() for each in sent]
    except UnicodeDecodeError:
        abort(400)
    is_garbled = request.mimetype == "multipart/form-data" and any(
        "\ufffd" in value for values in request.form.listvalues() for value in values
    )
    if is_garbled or "\0" in request.path + texts[0]:
        abort(400)


def _only_https(response: Response) -> Response:
    response.headers.setdefault("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
    return response


def register(app: Flask, settings: Settings) -> None:
    """Put the locks on the application."""
    app.session_interface = DoorSessions()
    limiter.init_app(app)
    app.before_request(take_chunks)
    app.before_request(refuse_garbage)
    csrf.init_app(app)
    app.after_request(hear_out)
    app.after_request(protect)
    # Its own line about every pause names the address of whoever was paused.
    logging.getLogger("flask-limiter").setLevel(logging.WARNING)
    if settings.is_production:
        app.after_request(_only_https)
        # We speak plain HTTP: where PUBLIC_URL is https, the door in front of us is the one hop
        # that may say who calls.
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1)  # type: ignore[method-assign]
