"""Chromium, the site on loopback, and a person who uses both."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import ThreadingMixIn
from threading import Thread
from typing import Self

from flask import Flask
from playwright.sync_api import Browser, BrowserContext, Locator, Page, Route, sync_playwright
from werkzeug.serving import WSGIRequestHandler, make_server

from app import clock
from app.services.mail.sender import OutboxSender
from tests.harness.smtp_server import LOOPBACK, MailServer
from tests.scenarios.story import total

PHONE, DESKTOP = 360, 1280
PATIENCE_MS = 60_000
_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--no-first-run",
    "--disable-component-update",
    "--disable-sync",
]
_LOOKS = ["*.css*", "*.svg*", "*.png*", "*.webp*", "*.ico*", "*.woff2*"]
_MAIL_PROGRAM = "http://mail.example/"

# By how many pixels a page is wider than its window.
OVERFLOW = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
FOCUS_IS_SEEN = """element => {
  const drawn = each => {
    const { outlineStyle, outlineWidth } = getComputedStyle(each)
    return outlineStyle === 'auto' || outlineStyle !== 'none' && parseFloat(outlineWidth) >= 2
  }
  return [element, element.closest('label')].some(each => each && drawn(each))
}"""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium, headless."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=_ARGUMENTS, timeout=2 * PATIENCE_MS
        )
        yield browser
        browser.close()


def window(
    browser: Browser, width: int = DESKTOP, *, scripts: bool = True, zone: str = "UTC"
) -> BrowserContext:
    """A new browser context: no cookies, and reduced motion; its device is in that time zone."""
    return browser.new_context(
        timezone_id=zone,
        viewport={"width": width, "height": 800},
        java_script_enabled=scripts,
        color_scheme="light",
        locale="en-GB",
        reduced_motion="reduce",
    )


def bare_tab(context: BrowserContext) -> Page:
    """A tab that loads no styles and pictures, which take most of the time of a page."""
    tab = context.new_page()
    network = context.new_cdp_session(tab)
    network.send("Network.enable")
    network.send("Network.setBlockedURLs", {"urls": _LOOKS})
    return tab


class _Quiet(WSGIRequestHandler):
    timeout = 60

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - werkzeug's name
        """Log nothing: a failure shows on the page."""


@contextmanager
def served(app: Flask, port: int) -> Iterator[None]:
    """Serve the application on that port of loopback."""
    server = make_server(LOOPBACK, port, app, threaded=True, request_handler=_Quiet)
    assert isinstance(server, ThreadingMixIn)
    # Requests that are open when a test ends, such as a late icon, end before the next test.
    server.daemon_threads, server.block_on_close = False, True
    thread = Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Person:
    """A person with a browser and an inbox."""

    def __init__(self, context: BrowserContext, app: Flask, mail: MailServer, address: str) -> None:
        self.context = context
        self.app = app
        self.mail = mail
        self.address = address
        # By a test that looks at each page in one of several ways.
        self.pages_checked = 0
        context.set_default_timeout(PATIENCE_MS)
        self.page: Page = context.new_page()

    def open(self, path: str) -> Self:
        """Open a page of the site."""
        self.page.goto(self.address + path)
        return self

    def read(self, kind: str) -> Self:
        """Send what is due, and open the newest email of that kind."""
        total(OutboxSender(self.app.extensions["mailer"], clock.now).deliver())
        newest = next(sent.parsed for sent in reversed(self.mail.messages) if sent.kind == kind)
        body = newest.get_body(("html",))
        assert body is not None
        html = body.get_content()

        def show(route: Route) -> None:
            route.fulfill(body=html, content_type="text/html; charset=utf-8")

        self.context.unroute(_MAIL_PROGRAM)
        self.context.route(_MAIL_PROGRAM, show)
        self.page.goto(_MAIL_PROGRAM)
        return self

    def link(self, name: str) -> Locator:
        """The first link whose name begins so."""
        return self.page.get_by_role("link", name=re.compile(rf"^{re.escape(name)}")).first

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    def follow(self, name: str) -> Self:
        """Click a link and wait for its page, in a new tab if the link opens one."""
        link = self.link(name)
        if link.get_attribute("target") != "_blank":
            with self.page.expect_navigation():
                link.click()
            return self
        with self.context.expect_page() as opened:
            link.click()
        return self._go_on_in(opened.value)

    def press(self, name: str) -> Self:
        """Click a button and wait for the next page."""
        with self.page.expect_navigation():
            self.button(name).click()
        return self

    def folded(self, name: str) -> Locator:
        """The summary of what is folded under that name."""
        return self.page.locator("summary", has_text=name).first

    def unfold(self, name: str) -> Self:
        """Click on what is folded under that name."""
        self.folded(name).click()
        return self

    def type(self, label: str, text: str) -> Self:
        """Fill in the field of that label."""
        self.page.get_by_label(label).fill(text)
        return self

    def sees(self, words: str) -> Self:
        """Wait until the page shows these words."""
        self.page.get_by_text(words).first.wait_for()
        return self

    @property
    def heading(self) -> str:
        return self.page.locator("h1").inner_text()

    def tab_to(self, target: Locator) -> Self:
        """Reach it with the Tab key, and check that its focus is visible."""
        for _ in range(150):
            self.page.keyboard.press("Tab")
            if target.evaluate("element => element === document.activeElement"):
                assert target.evaluate(FOCUS_IS_SEEN), f"no sign of focus on {target}"
                return self
        raise AssertionError(f"the keyboard does not reach {target}")

    def key(self, *keys: str) -> Self:
        for each in keys:
            self.page.keyboard.press(each)
        return self

    def key_button(self, name: str) -> Self:
        """Press a button by keyboard and wait for the next page."""
        self.tab_to(self.button(name))
        with self.page.expect_navigation():
            self.key("Enter")
        return self

    def key_unfold(self, name: str) -> Self:
        """Open what is folded under that name by keyboard."""
        return self.tab_to(self.folded(name)).key("Enter")

    def key_link(self, name: str) -> Self:
        """Follow a link by keyboard."""
        link = self.link(name)
        self.tab_to(link)
        if link.get_attribute("target") != "_blank":
            with self.page.expect_navigation():
                self.key("Enter")
            return self
        with self.context.expect_page() as opened:
            self.key("Enter")
        return self._go_on_in(opened.value)

    def key_field(self, label: str, text: str) -> Self:
        """Fill in a field by keyboard."""
        self.tab_to(self.page.get_by_label(label))
        self.page.keyboard.press("ControlOrMeta+A")
        self.page.keyboard.type(text)
        return self

    def _go_on_in(self, page: Page) -> Self:
        page.wait_for_load_state()
        self.page.close()
        self.page = page
        return self
