"""A scanner that opens every page in a browser with scripts, again and again, changes nothing."""

from typing import Any

import pytest
from flask import Flask

from app.store.models import AccessEntry, ManageVisit, SignInSession
from tests.harness.page_stories import all_rows
from tests.harness.smtp_server import MailServer
from tests.harness.soak import runs
from tests.scenarios import full_site
from tests.scenarios.cast import add_cast
from tests.scenarios.story import Story
from tests.slow.browser.conftest import Arrive

pytestmark = pytest.mark.browser

ROUNDS = runs(1, 100)
# When a session was last used is written as its pages are opened.
SEEN = SignInSession.__name__


@pytest.fixture
def story(app: Flask, mail: MailServer, at: Any) -> Story:
    """The cast, on Monday morning; the server's clock stands still there too."""
    at(full_site.MONDAY)
    add_cast()
    return Story(app, mail, at)


def rows() -> dict[str, Any]:
    return {name: each for name, each in all_rows().items() if name != SEEN}


def test_opening_every_page_with_every_reading_method_changes_nothing(
    story: Story, arrive: Arrive
) -> None:
    bookings = full_site.fill(story)
    with story.app.test_request_context():
        paths = [*full_site.public(), *full_site.by_link(bookings), *full_site.for_asha(bookings)]
    asha = arrive()
    asha.open("/sign-in").type("Your email address", "asha@therapists.example")
    asha.press("Send me a sign-in link").read("sign_in").follow("Sign In").press("Sign in")
    before = rows()
    for _ in range(ROUNDS):
        for path in paths:
            asha.open(path)
            for method in ("GET", "HEAD", "OPTIONS"):
                answer = asha.context.request.fetch(asha.address + path, method=method)
                assert answer.status < 500, (method, path)
    assert rows() == before
    assert AccessEntry.select().exists()
    assert not ManageVisit.select().exists()
