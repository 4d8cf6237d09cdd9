"""Static files: kept in memory, compressed, under addresses that browsers keep for ever."""

import re
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from mimetypes import guess_type
from pathlib import Path

import flask_bootstrap
from flask import Flask, abort, request, url_for
from flask.typing import ResponseReturnValue

from app.web.compression import SharedBody

_OWN = Path(__file__).parents[1] / "static"
_BOOTSTRAP = Path(flask_bootstrap.__file__).parent / "static/bootstrap5/css/bootstrap.min.css"
_PATHS = {path.name: path for path in (_BOOTSTRAP, *_OWN.iterdir())}
# `theme.css`, or `theme.0123456789ab.css` as pages name it.
_ADDRESS = re.compile(r"([a-z.]+?)(?:\.([0-9a-f]{12}))?(\.[a-z]+)")


@dataclass(frozen=True, slots=True)
class _File:
    fingerprint: str
    body: SharedBody


@cache
def _file(name: str) -> _File:
    content = _PATHS[name].read_bytes()
    mimetype = guess_type(name)[0] or "application/octet-stream"
    return _File(sha256(content).hexdigest()[:12], SharedBody(content, mimetype))


def asset(name: str) -> str:
    """The address of a static file; another one when its content changes."""
    stem, dot, ending = name.rpartition(".")
    return url_for("static", filename=f"{stem}.{_file(name).fingerprint}{dot}{ending}")


def _send(filename: str) -> ResponseReturnValue:
    named = _ADDRESS.fullmatch(filename)
    if named is None or named[1] + named[3] not in _PATHS:
        abort(404)
    file = _file(named[1] + named[3])
    response = file.body.response()
    response.cache_control.public = True
    # A page of another release names another fingerprint, and still gets a style.
    if named[2] == file.fingerprint:
        response.cache_control.max_age = 31_536_000
        response.cache_control.immutable = True
    else:
        response.cache_control.no_cache = True
    response.set_etag(f"{file.fingerprint}{response.content_encoding or ''}")
    return response.make_conditional(request)


def register(app: Flask) -> None:
    app.add_url_rule("/static/<path:filename>", endpoint="static", view_func=_send)
