"""What a request looked at or was refused, written to the access trail after its answer."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from functools import partial
from http import HTTPStatus

from flask import Flask, Response, g, request

from app import clock
from app.links import LinkToken
from app.rules.lifecycle import Via
from app.services import access_trail
from app.services.access_trail import Access, Origin
from app.store.models import AccessEvent, Area, Booking, Party, Purpose, Therapist, Writing

_OPS = "/ops"
_WAYS = (
    ("/link/", Via.LINK),
    ("/calendar/", Via.LINK),
    ("/dashboard", Via.DASHBOARD),
    ("/api/", Via.API),
    (_OPS, Via.OPS),
)
_CLIENTS = ("/link/manage/", "/link/choose/", "/link/take/", "/link/keep/")
_THERAPISTS = ("/link/", "/calendar/", "/dashboard", "/sign-out")
_MONITORING = ("/metrics", "/readyz")
_REFUSED_FORM = frozenset({400, 401, 403, 413, 422})
_REFUSED_LINK = frozenset({400, 404, 410})
_REFUSED_KEY = {401: AccessEvent.WRONG_KEY, 403: AccessEvent.READ_ONLY_KEY}


def is_prefetch() -> bool:
    """Whether a browser asks for a page that its reader may never see."""
    return request.headers.get("Sec-Purpose", "").startswith("prefetch")


def is_shown() -> bool:
    return request.method != "HEAD" and not is_prefetch()


def note(access: Access) -> None:
    """Record it once the page has been answered."""
    _noted().append(access)


def note_reading(booking: Booking, shown: Iterable[Writing]) -> None:
    # Private notes are the therapist's own, so reading them is nothing to tell.
    purposes = sorted({each.purpose for each in shown} - {Purpose.PRIVATE_NOTE})
    if purposes and request.method != "HEAD":
        note(Access(AccessEvent.READ, booking, about=" ".join(purposes)))


def note_export(therapist: Therapist, what: str) -> None:
    note(Access(AccessEvent.EXPORTED, therapist=therapist, about=what))


def note_refused_session(therapist: Therapist, booking: Booking | None) -> None:
    """That `therapist` tried to open a session of somebody else, or one that there is not."""
    about = request.endpoint or ""
    note(Access(AccessEvent.SESSION_REFUSED, booking, therapist, about=about))


def acts_on_ops_desk(address: str) -> None:
    """What this request records is done by that person of OPS_SIGN_IN."""
    origin = access_trail.current_origin()
    access_trail.come_from(replace(origin, by=Party.OPS, ops_address=address))


def note_link(
    link: LinkToken, *, booking: Booking | None = None, therapist: Therapist | None = None
) -> None:
    """That a link which is good was opened, unless its button was pressed."""
    opened = Access(
        AccessEvent.LINK_OPENED,
        booking,
        therapist,
        about=str(link.purpose),
        link_made_at=link.minted_at,
        email=None if link.is_of_page else link.email,
    )
    g.good_link, g.link_opened = link, opened
    if request.method in ("GET", "HEAD") and not is_prefetch():
        note(opened)


def note_press(event: AccessEvent) -> None:
    """How the press of a button on the page of `good_link` was answered."""
    note(replace(g.link_opened, event=event, email=g.good_link.email))


def good_link() -> LinkToken | None:
    """The link that this request opened or pressed, if it is good."""
    link: LinkToken | None = g.get("good_link")
    return link


def register(app: Flask) -> None:
    app.before_request(_begin)
    app.after_request(_record)
    app.teardown_request(lambda _error: access_trail.come_from(access_trail.COMMAND_LINE))


def _begin() -> None:
    path = request.path
    by = Party.STRANGER
    if path.startswith(_CLIENTS):
        by = Party.CLIENT
    elif path.startswith(_THERAPISTS) and not path.startswith("/link/confirm/"):
        by = Party.THERAPIST
    via = next((way for start, way in _WAYS if path.startswith(start)), Via.PAGE)
    access_trail.come_from(Origin(by, via, access_trail.network_hash(request.remote_addr)))


def _record(response: Response) -> Response:
    noted, refusal = [*_noted()], _refusal(response.status_code)
    if refusal is not None:
        noted.append(refusal)
    if noted:
        origin = access_trail.current_origin()
        response.call_on_close(partial(_write, origin, noted, clock.now()))
    return response


def _write(origin: Origin, noted: list[Access], now: datetime) -> None:
    access_trail.come_from(origin)
    access_trail.record_after(noted, now)
    access_trail.come_from(access_trail.COMMAND_LINE)


def _refusal(status: int) -> Access | None:
    event = _refused(status)
    if event is None:
        return None
    area = Area.OPS if request.path.startswith(_OPS) else Area.DASHBOARD
    session = g.get("sessions", {}).get(area)
    is_known = session is not None or "good_link" in g
    by = None if is_known else Party.STRANGER
    return Access(
        event,
        therapist=session.therapist if session else None,
        about=request.endpoint or "",
        # Keys of the API are the operator's own.
        by=Party.OPS if event is AccessEvent.READ_ONLY_KEY else by,
    )


def _refused(status: int) -> AccessEvent | None:
    if status < HTTPStatus.BAD_REQUEST:
        return None
    is_post, path = request.method == "POST", request.path
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return AccessEvent.LIMIT_REACHED
    if path.startswith(("/api/", *_MONITORING)):
        return _REFUSED_KEY.get(status)
    if path.startswith("/link/sign-in/") and is_post:
        return AccessEvent.SIGN_IN_REFUSED if status in _REFUSED_LINK else None
    if path.startswith(("/link/", "/calendar/")) and "good_link" not in g:
        return AccessEvent.LINK_REFUSED if status in _REFUSED_LINK else None
    return AccessEvent.FORM_REFUSED if is_post and status in _REFUSED_FORM else None


def _noted() -> list[Access]:
    noted: list[Access] = g.setdefault("accesses", [])
    return noted
