"""Profile Settings, the photo: uploaded with what else was typed on the page, or removed."""

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from app import clock
from app.errors import InvalidFields
from app.services.therapists import photo_file, photos
from app.web.dashboard import base, profile
from app.web.reopened import lead_back
from app.web.security import PUBLIC_FORM_LIMIT, limiter

blueprint = Blueprint("photo", __name__, url_prefix="/dashboard/profile")
base.require_sign_in(blueprint)


lead_back(blueprint, "profile.show", "/photo", "/remove-photo")


@blueprint.post("/photo")
@limiter.limit(PUBLIC_FORM_LIMIT)
def change() -> ResponseReturnValue:
    sent = request.files.get("photo")
    # One byte more than it may have: a larger file is refused by its size.
    content = sent.stream.read(photo_file.MOST_BYTES + 1) if sent else b""
    try:
        photos.replace(base.current_therapist().slug, content, clock.now())
    except InvalidFields as refusal:
        return profile.page_refusing("photo", refusal.errors[0].message)
    return profile.page_after("Saved. Clients see this photo now.", "photo")


@blueprint.post("/remove-photo")
def remove() -> ResponseReturnValue:
    photos.remove(base.current_therapist().slug)
    return profile.page_after("Removed. Clients see your initials now.", "photo")
