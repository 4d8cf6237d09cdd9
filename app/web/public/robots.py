"""What search engines may read."""

from flask import Blueprint, Response

blueprint = Blueprint("robots", __name__)

# Pages that say noindex, such as the one to sign in, can be read: only so are they left out.
_LEFT_OUT = ("/link/", "/dashboard", "/ops", "/calendar/", "/api/", "/mailbox", "/healthz")
_TEXT = "\n".join(("User-agent: *", *(f"Disallow: {path}" for path in _LEFT_OUT), "Allow: /", ""))


@blueprint.get("/robots.txt")
def robots() -> Response:
    return Response(_TEXT, mimetype="text/plain")
