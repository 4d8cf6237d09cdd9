"""Security headers, rate limits, CSRF, refused bodies, and paths without cookies."""

import logging
import re
from collections.abc import Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes, urlsplit

from flask import Flask, Request, Response, abort, request
from flask.sessions import NullSession, SecureCookieSession, SecureCookieSessionInterface
from flask_limiter import Limiter
from flask_wtf import CSRFProtect
from werkzeug.middleware.proxy_fix import ProxyFix

from app import config
from app.config import Settings
from app.web import bodies, scripts
from app.web.callers import Callers

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

PUBLIC_FORM_LIMIT = "10 per minute"
SIGN_IN_LIMIT = "5 per minute"
LINK_LIMIT = "60 per minute"
API_LIMIT = "600 per minute"
# Of one address: some devices of one therapist, each asking every few minutes.
FEED_LIMIT = "30 per minute"

# Requests to these paths neither read nor set the session cookie.
_WITHOUT_COOKIES = (
    "/link/accept/",
    "/link/decline/",
    "/link/manage/",
    "/link/choose/",
    "/link/suggest/",
    "/link/take/",
    "/link/keep/",
    "/link/agree/",
    "/link/refuse/",
    "/link/confirm/",
    "/api/",
    "/photos/",
    "/calendar/",
    "/static/",
    "/healthz",
    "/readyz",
    "/metrics",
)

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
# Of every answer, with a policy that also names the scripts of its page.
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
_FORMS = frozenset({"application/x-www-form-urlencoded", "multipart/form-data"})
_TAKING_OTHER_BODIES = frozenset({"directory.request_session", "photo.change"})
_INDEXABLE = frozenset({"directory.find", "directory.profile", "static"})

_HOST = re.compile(
    r"(?:[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?"
)
# Where the environment of a request holds its visitor's network.
_NETWORK = "mindsum.network"


def has_cookies(request: Request) -> bool:
    """Whether requests to this path may use the session cookie."""
    return not request.path.startswith(_WITHOUT_COOKIES)


def _limit_key() -> str:
    return network() or request.remote_addr or "unknown"


limiter = Limiter(key_func=_limit_key)
csrf = CSRFProtect()


class _Sessions(SecureCookieSessionInterface):
    def __init__(self, app: Flask) -> None:
        # Flask makes another one for each session that it opens or saves.
        self._serializer = super().get_signing_serializer(app)

    def get_signing_serializer(self, app: Flask) -> Any:  # noqa: ARG002 - Flask passes it
        return self._serializer

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        if not has_cookies(request):
            return NullSession()
        return super().open_session(app, request)


def _add_headers(response: Response) -> Response:
    is_link = request.path.startswith(scripts.LINKS)
    wanted = _HEADERS | {"Referrer-Policy": "no-referrer" if is_link else "same-origin"}
    if request.endpoint not in _INDEXABLE:
        wanted["X-Robots-Tag"] = "noindex"
    if request.endpoint != "static":
        wanted["Cache-Control"] = "no-store"
    policy = response.headers.pop("Content-Security-Policy", CONTENT_POLICY)
    wanted["Content-Security-Policy"] = _with_sources(policy, response)
    # What a page has set itself stays.
    own = {name for name, _ in response.headers}
    response.headers.extend((name, value) for name, value in wanted.items() if name not in own)
    return response


def _with_sources(policy: str, response: Response) -> str:
    """With the page's scripts, unless the page has a policy of its own."""
    if not policy.startswith(CONTENT_POLICY):
        return policy
    policy += scripts.policy(response)
    if request.endpoint in _INDEXABLE:
        # Programs that check pages for search engines ask for it from within the page.
        policy += f"; connect-src {config.current().public_url}/robots.txt"
    return policy


def _refuse_bad_encoding() -> None:
    # No database stores NUL.
    encoded = [request.query_string]
    if request.mimetype == "application/x-www-form-urlencoded":
        encoded.append(request.get_data())
    try:
        query, *_ = [unquote_to_bytes(each).decode() for each in encoded]
    except UnicodeDecodeError:
        abort(400)
    has_replaced_bytes = request.mimetype == "multipart/form-data" and any(
        "\ufffd" in value for values in request.form.listvalues() for value in values
    )
    if has_replaced_bytes or "\0" in request.path + query:
        abort(400)


def _refuse_doubled_slash() -> None:
    # Werkzeug reads such an address as the one with one slash.
    if request.environ.get("PATH_INFO", "").startswith("//"):
        abort(HTTPStatus.NOT_FOUND)


def _refuse_other_bodies() -> None:
    # JSON and files are no texts that somebody typed: read as a form, they are empty fields,
    # which would clear what is stored. These pages answer them themselves, with the form.
    if request.method != "POST" or request.path.startswith("/api/"):
        return
    if request.endpoint in _TAKING_OTHER_BODIES:
        return
    has_body = request.content_length not in (None, 0)
    if request.files or (has_body and request.mimetype not in _FORMS):
        abort(HTTPStatus.BAD_REQUEST)


def _add_hsts(response: Response) -> Response:
    response.headers.setdefault("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
    return response


def network() -> str | None:
    """Of the visitor, for limits; None if a proxy hides it that TRUSTED_PROXIES does not count."""
    found: str | None = request.environ[_NETWORK]
    return found


def _with_caller(wsgi_app: "WSGIApplication", callers: Callers, own_host: str) -> "WSGIApplication":
    def wrapped(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        # Of another form it could not be read, and no page could be made, not even of an error.
        if not _HOST.fullmatch(environ.get("HTTP_HOST", "")):
            environ["HTTP_HOST"] = own_host
        address, environ[_NETWORK] = callers.address(environ), callers.network(environ)
        environ["REMOTE_ADDR"] = str(address or "")
        return wsgi_app(environ, start_response)

    return wrapped


def _is_unknown_visitor() -> bool:
    # An https site is behind a proxy. If that is not counted, all visitors would be one, and soon
    # at its limit.
    is_production = config.current().is_production
    return is_production and network() is None and not request.path.startswith("/api/")


def register(app: Flask, settings: Settings) -> None:
    app.session_interface = _Sessions(app)
    # First, since every refusal shows what was typed.
    app.before_request(bodies.read)
    limiter.init_app(app)
    app.before_request(_refuse_bad_encoding)
    app.before_request(_refuse_doubled_slash)
    app.before_request(_refuse_other_bodies)
    csrf.init_app(app)
    app.after_request(_add_headers)
    # It logs the address of each visitor over a limit.
    logging.getLogger("flask-limiter").setLevel(logging.WARNING)
    host = urlsplit(settings.public_url).netloc
    wrapped: Any = _with_caller(app.wsgi_app, Callers(settings.trusted_proxies), host)
    app.wsgi_app = wrapped  # type: ignore[method-assign]
    limiter.request_filter(_is_unknown_visitor)
    if settings.is_production:
        app.after_request(_add_hsts)
        # The server speaks plain HTTP, so an https site has a proxy in front of it.
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=0, x_proto=1)  # type: ignore[method-assign]
