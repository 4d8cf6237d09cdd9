"""Static files go out compressed, under addresses that browsers keep for ever."""

import gzip
import re

import pytest

from tests.harness.every import for_every
from tests.scenarios.cast import Cast
from tests.web.conftest import Visitor

# None of this depends on the database.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

GZIP = {"Accept-Encoding": "gzip, deflate, br"}


def linked(visitor: Visitor) -> list[str]:
    """The addresses of all files that Find a Therapist names."""
    page = visitor.get("/").text
    return sorted(set(re.findall(r'(?:href|src)="(/static/[^"]+)"', page)))


def test_files_are_kept_for_a_year_under_addresses_that_change_with_them(
    cast: Cast, visitor: Visitor
) -> None:
    addresses = linked(visitor)
    assert len(addresses) == 3
    for address in addresses:
        assert re.search(r"\.[0-9a-f]{12}\.(css|svg)$", address)
        kept = visitor.get(address).cache_control
        assert kept.max_age == 31_536_000
        assert kept.immutable
        assert kept.public


def test_a_page_of_another_release_gets_todays_file_and_does_not_keep_it(
    cast: Cast, visitor: Visitor
) -> None:
    today = visitor.get("/static/theme.css")
    other = visitor.get("/static/theme.0123456789ab.css")
    assert other.data == today.data
    for answer in (today, other):
        assert answer.cache_control.no_cache
        assert not answer.cache_control.max_age
    again = visitor.get("/static/theme.css", headers={"If-None-Match": today.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


def test_the_first_load_of_find_a_therapist_is_under_sixty_kilobytes(
    cast: Cast, visitor: Visitor
) -> None:
    answers = [visitor.get(path, headers=GZIP) for path in ["/", *linked(visitor)]]
    assert {answer.content_encoding for answer in answers} == {"gzip"}
    assert sum(len(answer.data) for answer in answers) < 60 * 1024


@for_every(["", "identity", "br", "gzip;q=0", "deflate, gzip;q=0.0"])
def test_a_browser_that_takes_no_gzip_gets_the_plain_bytes(
    accepted: str, cast: Cast, visitor: Visitor
) -> None:
    for path in ("/", "/static/theme.css"):
        answer = visitor.get(path, headers={"Accept-Encoding": accepted})
        assert answer.content_encoding is None
        assert "Accept-Encoding" in answer.vary
        compressed = visitor.get(path, headers=GZIP)
        assert compressed.headers["Content-Length"] == str(len(compressed.data))
        assert gzip.decompress(compressed.data) == answer.data
        assert compressed.mimetype == answer.mimetype
        assert compressed.headers.get("ETag", "gzip") != answer.headers.get("ETag", "plain")


def test_a_page_with_a_secret_is_not_compressed(cast: Cast, visitor: Visitor) -> None:
    answer = visitor.get("/therapists/asha", headers=GZIP)
    assert "csrf_token" in answer.text
    assert answer.content_encoding is None


@for_every(
    ["nope.css", "../app.py", "..%2fconfig.py", "theme.css.map", "theme", ".css", "a/theme.css"]
)
def test_nothing_else_is_served(name: str, cast: Cast, visitor: Visitor) -> None:
    assert visitor.get(f"/static/{name}").status_code == 404
