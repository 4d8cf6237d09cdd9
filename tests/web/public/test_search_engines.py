"""What search engines may read, how pages describe themselves, and pages that are not there."""

import re
from urllib.robotparser import RobotFileParser

import pytest

from tests.harness.pages import ASHA, text
from tests.scenarios.cast import Cast
from tests.web.conftest import Visitor


@pytest.fixture
def rules(cast: Cast, visitor: Visitor) -> RobotFileParser:
    answer = visitor.get("/robots.txt")
    assert answer.mimetype == "text/plain"
    parser = RobotFileParser()
    parser.parse(answer.text.splitlines())
    return parser


@pytest.mark.parametrize("path", ["/", "/?free=on", ASHA, "/my-links", "/static/theme.css"])
def test_search_engines_may_read_public_pages(rules: RobotFileParser, path: str) -> None:
    assert rules.can_fetch("Somebot", path)


@pytest.mark.parametrize(
    "path",
    ["/link/accept/abc", "/dashboard", "/dashboard/earnings", "/api/v1/bookings", "/calendar/x"],
)
def test_search_engines_are_kept_from_links_the_dashboard_and_the_api(
    rules: RobotFileParser, path: str
) -> None:
    assert not rules.can_fetch("Somebot", path)


@pytest.mark.parametrize("path", ["/", ASHA, "/therapists/bran", "/my-links", "/sign-in"])
def test_a_public_page_describes_itself_in_a_sentence(
    cast: Cast, visitor: Visitor, path: str
) -> None:
    found = re.findall(r'<meta name="description" content="([^"]+)">', visitor.get(path).text)
    assert len(found) == 1
    assert 40 < len(found[0]) <= 160


@pytest.mark.parametrize(
    "path", ["/nowhere", "/therapists/nobody", "/dashboard/nowhere", "/link/nowhere"]
)
def test_a_page_that_is_not_there_says_where_to_go(cast: Cast, visitor: Visitor, path: str) -> None:
    answer = visitor.get(path)
    assert answer.status_code == 404
    for target in ("/", "/my-links", "/sign-in"):
        assert f'href="{target}"' in answer.text
    # Whether there ever was something is nobody's to know.
    assert "removed" not in text(answer)
    assert answer.text == visitor.get("/nowhere").text
