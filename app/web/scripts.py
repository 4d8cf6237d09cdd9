"""Small scripts of our own: inline in the pages that use them, each allowed there by its hash."""

from base64 import b64encode
from functools import cache
from hashlib import sha256
from pathlib import Path

from flask import Response, request
from markupsafe import Markup

FOLDER = Path(__file__).parents[1] / "templates" / "scripts"
LINKS = "/link/"


def script(name: str) -> Markup:
    """The script `name` for a template; nothing on the pages of links in emails."""
    return Markup() if _is_link() else _element(name)


class KeptResponse(Response):
    """Of a page that is kept: its scripts were looked for when it was made."""

    script_sources: str


def policy(response: Response) -> str:
    """`; script-src 'sha256-…'` with the scripts of that page and no others; else empty."""
    if _is_link() or response.mimetype != "text/html" or response.is_streamed:
        return ""
    if isinstance(response, KeptResponse):
        sources = response.script_sources
    else:
        sources = sources_in(response.get_data())
    return f"; script-src {sources}" if sources else ""


def sources_in(page: bytes) -> str:
    """The scripts of a page as a policy names them."""
    # Read from the page: one that is kept for many visitors calls no template.
    return " ".join(source for element, source in _sources() if element in page)


def _is_link() -> bool:
    return request.path.startswith(LINKS)


@cache
def _element(name: str) -> Markup:
    return Markup(f"<script>{_text(name)}</script>")  # noqa: S704 - a file of our own


def _text(name: str) -> str:
    return (FOLDER / f"{name}.js").read_text()


@cache
def _sources() -> list[tuple[bytes, str]]:
    """Each script as pages hold it, and as a policy names it."""
    names = sorted(path.stem for path in FOLDER.glob("*.js"))
    digests = (sha256(_text(name).encode()).digest() for name in names)
    return [
        (_element(name).encode(), f"'sha256-{b64encode(digest).decode()}'")
        for name, digest in zip(names, digests, strict=True)
    ]
