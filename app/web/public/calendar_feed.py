"""A therapist's calendar feed, as calendar programs ask for it every few minutes."""

from hashlib import sha256

from flask import Blueprint, Response, request
from werkzeug.wrappers import Response as AnyResponse

from app import clock
from app.errors import NotFound
from app.services.access_trail import Access
from app.services.therapists import feed
from app.store.models import AccessEvent
from app.web import access
from app.web.security import API_LIMIT, FEED_LIMIT, limiter

blueprint = Blueprint("calendar_feed", __name__)


def _address_key() -> str:
    # Hashed, since counts may be kept outside this process.
    return sha256(request.path.encode("utf-8", "surrogatepass")).hexdigest()


# One network may ask for many therapists: Google's does.
@blueprint.get("/calendar/<secret>.ics")
@limiter.limit(API_LIMIT)
@limiter.limit(FEED_LIMIT, key_func=_address_key)
def show(secret: str) -> AnyResponse:
    found, now = feed.find(secret), clock.now()
    if found is None:
        raise NotFound("calendar")
    access.note(Access(AccessEvent.FEED_READ, therapist=found.therapist))
    response = Response(feed.content(found, now), mimetype="text/calendar")
    response.headers |= {"Cache-Control": "private, no-cache", "Referrer-Policy": "no-referrer"}
    response.add_etag()
    return response.make_conditional(request)
