"""Photos of therapists, for visitors; their addresses change with their content."""

from flask import Blueprint, Response, request
from werkzeug.wrappers import Response as AnyResponse

from app.errors import NotFound
from app.store.queries import photos

blueprint = Blueprint("photos", __name__)

# A month: a photo that was removed does not stay in caches for longer.
_CACHING = "public, max-age=2592000, immutable"


@blueprint.get("/photos/<any(small, large):size>/<key>.webp")
def show(size: str, key: str) -> AnyResponse:
    content = photos.shown_photo(key, is_large=size == "large")
    if content is None:
        raise NotFound("photo")
    response = Response(content, mimetype="image/webp", headers={"Cache-Control": _CACHING})
    response.set_etag(f"{key}-{size}")
    return response.make_conditional(request)
