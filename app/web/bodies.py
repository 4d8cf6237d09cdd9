"""How large the body of a request may be, by endpoint, and what is kept of a larger one."""

import re
from http import HTTPStatus
from io import BytesIO
from typing import TYPE_CHECKING

from flask import Flask, abort, request
from werkzeug.exceptions import HTTPException
from werkzeug.wsgi import get_content_length

from app.services.therapists import photo_file
from app.services.validation import TEXT_LENGTH

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# Bytes: choices, keys and short lines, as most forms send.
SHORT = 16 * 1024
# Some characters take 12 bytes: %F0%9F%8C%8A in a form.
_TEXT = 12 * TEXT_LENGTH
WITH_A_TEXT = SHORT + _TEXT
# Reason, message and private note: each button of a session's page sends all of them.
_WITH_THREE_TEXTS = SHORT + 3 * _TEXT

# By endpoint, or for all endpoints of a blueprint. SHORT for the others.
LIMITS = {
    # Programs send fields of their own too; all are named in the answer.
    "api": 256 * 1024,
    "directory.request_session": WITH_A_TEXT,
    "links.decline": WITH_A_TEXT,
    "client.read_words": WITH_A_TEXT,
    "client.send_message": WITH_A_TEXT,
    "mailbox": WITH_A_TEXT,
    "ops_bookings.decline": WITH_A_TEXT,
    "ops_people.reactivate": WITH_A_TEXT,
    "profile": WITH_A_TEXT,
    "signed_in": WITH_A_TEXT,
    # The buttons of Profile Settings send all of its fields; this one a file too.
    "photo": WITH_A_TEXT,
    "photo.change": photo_file.MOST_BYTES + WITH_A_TEXT,
    "feed": WITH_A_TEXT,
    "session": _WITH_THREE_TEXTS,
    "move": _WITH_THREE_TEXTS,
}

# Bytes of a refused body that are still read, so that its sender gets the answer.
MAX_DISCARDED = 16 * 1024 * 1024
_CHUNK = 65_536
# A character that was cut off at the end of a form.
_CUT = re.compile(rb"(?:%[C-Fc-f][0-9A-Fa-f](?:%[89ABab][0-9A-Fa-f]){0,2})?(?:%[0-9A-Fa-f]?)?\Z")


def limit_at(app: Flask, path: str, method: str) -> int:
    """Bytes that the body of a request to `path` may have."""
    try:
        endpoint, _ = app.url_map.bind("").match(path, method)
    except HTTPException:
        # Such as no page of ours.
        endpoint = None
    return limit_of(endpoint)


def limit_of(endpoint: str | None) -> int:
    blueprint = (endpoint or "").rpartition(".")[0]
    return LIMITS.get(endpoint or "") or LIMITS.get(blueprint) or SHORT


def read() -> None:
    """Have the request's body in memory; of one that is too large its beginning, and abort."""
    environ, limit = request.environ, limit_of(request.endpoint)
    declared = get_content_length(environ)
    if request.method in {"GET", "HEAD", "OPTIONS"}:
        # No form: a page that is kept would show others what one visitor sent with it.
        environ.pop("CONTENT_TYPE", None)
        if declared is None:
            return
    # Not every server ends what is read where the declared length does.
    body = _read(environ, limit + 1 if declared is None else min(declared, limit + 1))
    is_too_large = max(len(body), declared or 0) > limit
    if is_too_large:
        _discard(environ, declared)
        body = _beginning(body[:limit])
    environ.pop("HTTP_TRANSFER_ENCODING", None)
    environ |= {"wsgi.input": BytesIO(body), "CONTENT_LENGTH": str(len(body))}
    if is_too_large:
        abort(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)


def _read(environ: "WSGIEnvironment", most: int) -> bytes:
    body = bytearray()
    while len(body) < most and (chunk := environ["wsgi.input"].read(most - len(body))):
        body += chunk
    return bytes(body)


def _discard(environ: "WSGIEnvironment", declared: int | None) -> None:
    # A client that still sends reads no answer.
    left = MAX_DISCARDED if declared is None else declared
    if left <= MAX_DISCARDED:
        while left > 0 and (count := len(environ["wsgi.input"].read(min(left, _CHUNK)))):
            left -= count


def _beginning(body: bytes) -> bytes:
    """The beginning of a form, so that it can be read as a form."""
    if request.mimetype == "multipart/form-data":
        end = f"\r\n--{request.mimetype_params.get('boundary', '')}--\r\n"
        return (body.decode(errors="ignore") + end).encode()
    return _CUT.sub(b"", body, 1)
