"""The visitor's time zone: as they chose it here, or as their browser tells it."""

from dataclasses import dataclass
from datetime import timedelta

from flask import Flask, Response, request

from app.services import validation
from app.web import cookies
from app.web.security import has_cookies

_KEPT, _KEPT_FOR = "mindsum-zone", timedelta(days=90)
# The script `zone` writes it; the answer to the next request takes it over.
_FROM_SCRIPT = "mindsum-browser-zone"
_CHOSEN, _TOLD = "chosen", "told"


@dataclass(frozen=True, slots=True)
class KnownZone:
    """`name` is None while nothing is known; what the visitor chose counts before their browser."""

    name: str | None
    is_chosen: bool = False


def known() -> KnownZone:
    kept, told = _kept(), _name(cookies.read(_FROM_SCRIPT))
    return KnownZone(told) if told and not kept.is_chosen else kept


def remember(response: Response, zone: str | None) -> None:
    """The zone that the visitor gave, if any, unless it is the one that is known already."""
    if zone not in (None, known().name):
        _keep(response, _CHOSEN, zone)


def script_cookie() -> str:
    """The name of the cookie in which the script tells the browser's zone."""
    return cookies.name(_FROM_SCRIPT)


def _kept() -> KnownZone:
    source, _, zone = cookies.read(_KEPT).partition(":")
    return KnownZone(_name(zone), source == _CHOSEN) if _name(zone) else KnownZone(None)


def _name(value: str) -> str | None:
    if not value:
        return None
    try:
        return validation.timezone(value)
    except ValueError:
        return None


def _keep(response: Response, source: str, zone: str) -> None:
    cookies.put(response, _KEPT, f"{source}:{zone}", _KEPT_FOR)


def _take_over(response: Response) -> Response:
    """Keep what the script told in a cookie that no script can read."""
    if has_cookies(request) and (told := _name(cookies.read(_FROM_SCRIPT))):
        if not _kept().is_chosen:
            _keep(response, _TOLD, told)
        cookies.drop(response, _FROM_SCRIPT)
    return response


def register(app: Flask) -> None:
    app.after_request(_take_over)
    app.jinja_env.globals.update(known_zone=known, zone_cookie=script_cookie)
