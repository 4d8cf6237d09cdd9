"""Takes the README's pictures and Lighthouse's scores: `make pictures`, or ARGS="site late"."""

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Literal
from urllib.request import urlopen

import time_machine
from playwright.sync_api import Browser, BrowserContext, Error, Page

from app import clock, config, create_app
from app.config import Settings
from app.demo import therapists
from app.links import LinkPurpose
from app.rules.lifecycle import Actor, Kind
from app.services.bookings import messages
from app.store.db import database
from app.store.models import Booking
from app.web.links import tokens
from emails.samples import SAMPLES
from tests.harness.browser_site import DESKTOP, PHONE, Person, chromium, served
from tests.harness.png import small
from tests.harness.smtp_server import LOOPBACK, MailServer, unused_port
from tests.harness.waiting import until
from tests.scenarios.story import Story

Scheme = Literal["light", "dark"]
DOCS = Path(__file__).parent.parent / "docs"
FIRST_MONDAY = datetime(2026, 9, 21, 8, 0, tzinfo=UTC)
TODAY = datetime(2026, 11, 3, 9, 10, tzinfo=UTC)
CLIENTS = (
    ("Dee Stone", "dee@clients.example", "America/New_York"),
    ("Eli Park", "eli@clients.example", "Europe/London"),
    ("Gwen Abara", "gwen@clients.example", "Africa/Lagos"),
    ("Hana Lind", "hana@clients.example", "Europe/Stockholm"),
)


class Studio:
    """A browser that saves pictures of pages to docs/."""

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        self.canvas = browser.new_context().new_page()

    def context(self, width: int, scheme: Scheme = "light", height: int = 860) -> BrowserContext:
        return self.browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, locale="en-GB"
        )

    def keep(self, name: str, page: Page, *, is_whole: bool = False, colours: int = 255) -> None:
        """Save the visible part of the page, or the whole page, as docs/NAME.png."""
        picture = small(page.screenshot(full_page=is_whole), self.canvas, colours)
        (DOCS / f"{name}.png").write_bytes(picture)
        print(f"docs/{name}.png {len(picture) // 1024} KB")  # noqa: T201 - a command tells


def emails(studio: Studio) -> None:
    """A request email as a phone shows it, and every kind of email in both schemes."""
    tiles = []
    schemes: tuple[Scheme, ...] = ("light", "dark")
    context = studio.context(375, "light", 640)
    page = context.new_page()
    for name, make in SAMPLES.items():
        page.set_content(make().html)
        for scheme in schemes:
            page.emulate_media(color_scheme=scheme)
            if (name, scheme) == ("booking_requested", "light"):
                studio.keep("request-email", page, is_whole=True)
            shot = base64.b64encode(page.screenshot()).decode()
            tiles.append((name if scheme == "light" else "", shot))
    context.close()
    context = studio.context(DESKTOP)
    page = context.new_page()
    figures = "".join(
        f'<figure><img src="data:image/png;base64,{shot}"><figcaption>{name}</figcaption></figure>'
        for name, shot in tiles
    )
    page.set_content(
        "<style>body { margin: 16px; display: grid; gap: 14px 10px; background: #d8d4cc;"
        " grid-template-columns: repeat(12, 1fr); font: 8px sans-serif } figure { margin: 0 }"
        " img { width: 100%; display: block; border-radius: 4px }</style>" + figures
    )
    studio.keep("emails", page, is_whole=True, colours=48)
    context.close()


@contextmanager
def site_with_clock() -> Iterator[Story]:
    """The demo's therapists on loopback, with a clock that can be moved."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        mail = stack.enter_context(MailServer())
        port = unused_port()
        app = create_app(
            Settings(
                database_url=f"sqlite:///{folder / 'mindsum.db'}",
                mail_port=mail.port,
                public_url=f"http://{LOOPBACK}:{port}",
                ratelimit_enabled=False,
            )
        )
        database.upgrade()
        travels = stack.enter_context(time_machine.travel(FIRST_MONDAY, tick=False))

        def at(instant: datetime) -> datetime:
            travels.move_to(instant, tick=False)
            return clock.now()

        stack.enter_context(app.test_request_context())
        stack.enter_context(database.connection())
        stack.enter_context(served(app, port))
        therapists.add_missing(clock.now())
        yield Story(app, mail, at)


def play_six_weeks(story: Story) -> None:
    """Six weeks of three enquiries each: two answered late, one declined, one never answered."""
    hours = {(2, 1): 7.0, (4, 0): 4.5}
    for week in range(6):
        monday = story.at(FIRST_MONDAY + timedelta(weeks=week))
        requested = [
            story.ask(
                starts_at=monday + timedelta(days=2, hours=2 + 2 * each), client=CLIENTS[each]
            )
            for each in range(3)
        ]
        story.sent()
        for each, booking in enumerate(requested):
            story.at(monday + timedelta(hours=hours.get((week, each), 0.5 + each / 2)))
            if (week, each) == (3, 2):
                story.decline(booking)
            elif (week, each) != (1, 2):
                story.accept(booking)
        story.at(monday + timedelta(days=4))
        story.sweep()
        story.sent()


def fill_today(story: Story) -> dict[str, Booking]:
    """Asha's enquiries and sessions on a Tuesday morning in November, by name."""
    dee, eli, gwen, hana = CLIENTS
    story.at(TODAY - timedelta(hours=20))
    week = {
        "accepted": story.ask(starts_at=_on(5, 16), client=dee),
        "free": story.ask(starts_at=_on(3, 15), client=hana, kind=Kind.FREE_CONSULTATION),
        "next": story.ask(starts_at=_on(6, 9), client=eli),
    }
    story.sent()
    story.wait(minutes=25)
    for booking in week.values():
        story.accept(booking)
    story.wait(hours=2)
    question = "Is there anything I should bring, or read beforehand?"
    messages.send(week["accepted"], question, author=Actor.CLIENT, now=story.now)
    story.at(TODAY - timedelta(hours=4))
    week["late"] = story.ask(starts_at=_on(6, 14), client=gwen)
    story.sent()
    story.wait(hours=3)
    note = "I have slept badly since the spring, and my work has begun to show it."
    week["open"] = story.ask(starts_at=_on(10, 16), client=dee, note=note)
    story.sent()
    story.wait(minutes=55)
    story.ask(starts_at=_on(9, 10), client=hana)
    story.at(TODAY)
    story.sweep()
    story.sent()
    return {name: story.reload(booking) for name, booking in week.items()}


def _on(day: int, hour: int) -> datetime:
    return datetime(2026, 11, day, hour, tzinfo=UTC)


def site(studio: Studio) -> None:
    """Every picture of the site after six weeks of bookings."""
    with site_with_clock() as story:
        play_six_weeks(story)
        week = fill_today(story)

        def somebody(width: int, scheme: Scheme = "light") -> Person:
            context = studio.context(width, scheme)
            return Person(context, story.app, story.mail, config.current().public_url)

        asha = somebody(DESKTOP).open("/")
        studio.keep("find", asha.page, is_whole=True)
        asha.open("/sign-in").type("Your email address", "asha@therapists.example")
        asha.press("Send me a sign-in link").read("sign_in").follow("Sign In").press("Sign in")
        asha.sees("New Enquiries")
        studio.keep("home", asha.page)
        studio.keep("upcoming", asha.open("/dashboard?tab=upcoming").page)
        studio.keep("ranking", asha.open("/dashboard/ranking").page, is_whole=True)
        session = f"/dashboard/sessions/{week['open'].reference}"
        studio.keep("session", asha.open(session).page, is_whole=True)
        asha.context.close()
        accept, manage = (
            tokens.path(aim, week[name])
            for aim, name in ((LinkPurpose.ACCEPT, "open"), (LinkPurpose.MANAGE, "accepted"))
        )
        looks: tuple[tuple[str, int, Scheme, str], ...] = (
            ("accept-page", PHONE, "light", accept),
            ("manage", PHONE, "dark", manage),
            ("manage-wide", DESKTOP, "light", manage),
        )
        for name, width, scheme, path in looks:
            person = somebody(width, scheme)
            studio.keep(name, person.open(path).page, is_whole=True)
            person.context.close()


@contextmanager
def demo() -> Iterator[str]:
    """Run the demo without its history; its address."""
    address = f"http://{LOOPBACK}:{unused_port()}"
    command = [sys.executable, "-c", "from app.cli import main; main()", "demo", "--empty"]
    port = address.rpartition(":")[2]
    running = subprocess.Popen([*command, "--port", port], stdout=subprocess.DEVNULL)
    try:
        yield address
    finally:
        running.terminate()
        running.wait(20)


def late(studio: Studio) -> None:
    """Three pictures of an enquiry in the demo that gets no answer for three hours."""
    with demo() as address:
        page = studio.context(DESKTOP).new_page()
        page.set_default_timeout(30_000)
        until("the demo to answer", lambda: _is_up(page, address))
        page.goto(f"{address}/therapists/asha")
        page.get_by_role("radio").nth(30).check()
        page.get_by_label("Your name").fill("Dee Stone")
        page.get_by_label("Your email").fill("dee@clients.example")
        page.get_by_role("button", name="Ask Asha for this time").click()
        page.get_by_text("One step left").wait_for()
        _open_mail(page, address, "confirm_request")
        page.frame_locator("iframe").get_by_role("link", name="Confirm Request").click()
        page.get_by_role("button", name="Confirm Request").click()
        page.get_by_text("You asked Asha").first.wait_for()
        page.goto(f"{address}/sign-in")
        page.get_by_label("Your email address").fill("asha@therapists.example")
        page.get_by_role("button", name="Send me a sign-in link").click()
        _open_mail(page, address, "sign_in")
        page.frame_locator("iframe").get_by_role("link", name="Sign In").click()
        page.get_by_role("button", name="Sign in").click()
        page.get_by_text("to answer").first.wait_for()
        studio.keep("late-1", page)
        page.goto(f"{address}/mailbox?still=1")
        page.get_by_role("button", name="+3 hours").click()
        for kind in ("answer_late", "answer_late_client", "answer_late_ops"):
            page.get_by_text(kind, exact=True).wait_for()
        page.goto(f"{address}/mailbox?still=1")
        # It names folders of this machine.
        page.locator("footer").evaluate("footer => footer.remove()")
        studio.keep("late-2", page, is_whole=True)
        _open_mail(page, address, "answer_late_client")
        page.frame_locator("iframe").get_by_role("link", name="Choose Someone Else").click()
        page.get_by_role("button", name="Ask this therapist").wait_for()
        studio.keep("late-3", page, is_whole=True)
        page.context.close()


def scores(_studio: Studio) -> None:
    """Print Lighthouse's scores of public pages on a phone, where it is installed."""
    program = shutil.which("lighthouse")
    if program is None:
        print("No scores: Lighthouse is not installed (npm install -g lighthouse)")  # noqa: T201
        return
    options = ("--quiet", "--output=json", "--chrome-flags=--headless=new --no-sandbox")
    with demo() as address:
        until("the demo to answer", lambda: _answers(address))
        for path in ("/", "/therapists/asha", "/my-links", "/sign-in"):
            ran = subprocess.run(
                [program, address + path, *options],
                capture_output=True,
                env={**os.environ, "CHROME_PATH": "/usr/bin/chromium"},
            )
            if ran.returncode:
                print(f"{path}: Lighthouse failed, as it may on a busy machine")  # noqa: T201
                continue
            found = json.loads(ran.stdout)["categories"].values()
            shown = ", ".join(f"{each['title']} {100 * each['score']:.0f}" for each in found)
            print(f"{path}: {shown}")  # noqa: T201


def _answers(address: str) -> bool:
    try:
        with urlopen(address) as answer:
            return bool(answer.status == HTTPStatus.OK)
    except OSError:
        return False


def _is_up(page: Page, address: str) -> bool:
    try:
        answer = page.goto(address)
    except Error:
        return False
    return answer is not None and answer.ok


def _open_mail(page: Page, address: str, kind: str) -> None:
    page.goto(f"{address}/mailbox")
    page.get_by_text(kind, exact=True).wait_for()
    page.goto(f"{address}/mailbox?still=1")
    page.get_by_role("link").filter(has=page.get_by_text(kind, exact=True)).first.click()


SUBJECTS = {take.__name__: take for take in (emails, site, late, scores)}

if __name__ == "__main__":
    with chromium() as browser:
        for subject in sys.argv[1:] or SUBJECTS:
            SUBJECTS[subject](Studio(browser))
