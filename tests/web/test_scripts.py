"""Scripts are our own, few and small; each page allows its own and no others, links none."""

import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import pytest
from flask import Flask, render_template_string

from app.links import LinkPurpose
from app.web import scripts
from app.web.compression import SharedBody
from tests.harness.every import for_every
from tests.web.conftest import Visitor

# None of this depends on the database.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

MOST_BYTES = 3000
LINKS = tuple(f"/link/{purpose}/cut" for purpose in LinkPurpose)
FILES = sorted(scripts.FOLDER.glob("*.js"))


def show(app: Flask, path: str, page: str) -> str:
    """The policy of an answer to that path."""
    with app.test_request_context(path):
        answer = app.process_response(app.make_response(render_template_string(page)))
    return str(answer.headers["Content-Security-Policy"])


def allowed(policy: str) -> set[str]:
    """The sources of scripts that a policy names."""
    directives = dict(part.split(" ", 1) for part in policy.split("; "))
    return set(directives.get("script-src", "").split())


def hashes_of(page: str) -> set[str]:
    texts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    return {f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'" for text in texts}


@for_every(FILES)
def test_a_page_allows_its_scripts_by_their_hashes_alone(path: Path, app: Flask) -> None:
    page = f"<p>{{{{ script('{path.stem}') }}}}"
    with app.test_request_context("/"):
        html = render_template_string(page)
    assert html == f"<p><script>{path.read_text()}</script>"
    assert allowed(show(app, "/", page)) == hashes_of(html)


def test_a_compressed_page_allows_the_same_scripts(app: Flask) -> None:
    with app.test_request_context("/", headers={"Accept-Encoding": "gzip"}):
        html = render_template_string(f"{{{{ script('{FILES[0].stem}') }}}}")
        answer = app.process_response(SharedBody(html.encode(), "text/html").response())
    assert answer.content_encoding == "gzip"
    assert allowed(answer.headers["Content-Security-Policy"]) == hashes_of(html)


def test_a_page_without_scripts_allows_none(app: Flask) -> None:
    assert allowed(show(app, "/", "<p>Hello.")) == set()
    assert allowed(show(app, "/", "<script>alert(1)</script>")) == set()


@for_every(LINKS)
def test_the_page_of_a_link_holds_and_allows_no_script(
    link: str, app: Flask, visitor: Visitor
) -> None:
    page = "".join(f"{{{{ script('{path.stem}') }}}}" for path in FILES)
    with app.test_request_context(link):
        assert render_template_string(page) == ""
    assert allowed(show(app, link, page)) == set()
    # Not even one that a page was given in another way.
    assert allowed(show(app, link, f"<script>{FILES[0].read_text()}</script>")) == set()
    answer = visitor.get(link)
    assert "<script" not in answer.text
    assert "script-src" not in answer.headers["Content-Security-Policy"]


@for_every(FILES)
def test_a_script_is_small_and_plain(path: Path, app: Flask) -> None:
    text = path.read_text()
    assert len(text) < MOST_BYTES
    assert text.startswith("// ")
    # It ends no element of the page, loads nothing and writes no markup.
    assert not re.search(r"</|<!--|\beval\b|innerHTML|\bimport\b|\bfetch\b|https?://", text)
