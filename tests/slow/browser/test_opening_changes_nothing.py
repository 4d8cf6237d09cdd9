"""A scanner that opens every page in a browser with scripts, again and again, changes nothing."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page

from app.store.models import AccessEntry, Booking, ManageVisit
from tests.harness.browser_site import bare_tab
from tests.harness.databases import one_database
from tests.harness.page_stories import all_rows
from tests.harness.smtp_server import MailServer
from tests.harness.soak import runs
from tests.scenarios import full_site
from tests.scenarios.cast import add_cast
from tests.scenarios.story import Story
from tests.slow.browser.conftest import Arrive, Person

pytestmark = pytest.mark.browser

ROUNDS = runs(1, 100)
# So many pages load at a time.
TABS = 4
ASK = """([paths, methods]) => Promise.all(
  paths.flatMap(path => methods.map(async method => {
    const { status } = await fetch(path, { method })
    return status < 500 ? [] : [`${status} ${method} ${path}`]
  }))
).then(all => all.flat())"""


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    yield from one_database(request, tmp_path)


@pytest.fixture
def story(app: Flask, mail: MailServer, at: Any) -> Story:
    """The cast, on Monday morning; the server's clock stands still there too."""
    at(full_site.MONDAY)
    add_cast()
    return Story(app, mail, at)


def open_all(paths: list[str], person: Person) -> None:
    """Show each page in a tab, scripts and all."""
    with ExitStack() as open_tabs:
        # Tabs are closed again: one that has shown thousands of pages keeps hundreds of megabytes.
        tabs = [open_tabs.enter_context(bare_tab(person.context)) for _ in range(TABS)]
        for start in range(0, len(paths), TABS):
            with ExitStack() as loading:
                for tab, path in zip(tabs, paths[start : start + TABS], strict=False):
                    loading.enter_context(tab.expect_navigation())
                    tab.evaluate("url => { location = url }", person.address + path)


def ask_for_all(paths: list[str], scripted: Page) -> None:
    """Ask for each with every reading method, by a script in a browser with the same cookies."""
    failed = scripted.evaluate(ASK, [paths, ["GET", "HEAD", "OPTIONS"]])
    assert failed == []


def test_opening_every_page_with_every_reading_method_changes_nothing(
    story: Story, arrive: Arrive, browser: Browser
) -> None:
    bookings = full_site.fill(story)
    with story.app.test_request_context():
        for_anybody = [*full_site.public(), *full_site.by_link(bookings)]
        for_asha = full_site.for_asha(bookings)
    asha = arrive()
    asha.open("/sign-in").type("Your email address", "asha@therapists.example")
    asha.press("Send me a sign-in link").read("sign_in").follow("Sign In").press("Sign in")
    cookies = asha.context.storage_state()
    with browser.new_context(storage_state=cookies, bypass_csp=True) as context:
        scripted = context.new_page()
        scripted.goto(asha.address + "/sign-in")
        before = all_rows()
        open_all(for_anybody, asha)
        ask_for_all(for_anybody, scripted)
        assert all_rows() == before
        assert Booking.select().where(Booking.unread_since.is_null(False)).exists()
        # What Dee wrote counts as read once Asha has opened it.
        asha.open(f"/dashboard/sessions/{bookings['accepted'].reference}")
        before = all_rows()
        for _ in range(ROUNDS):
            open_all([*for_anybody, *for_asha], asha)
            ask_for_all([*for_anybody, *for_asha], scripted)
            assert all_rows() == before
    assert AccessEntry.select().exists()
    assert not ManageVisit.select().exists()
