"""Every page, light and dark, on a phone and a desktop: axe finds no fault, nothing overflows."""

from pathlib import Path
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from playwright.sync_api import Browser

from app import clock, config, create_app
from app.config import Settings
from app.demo.maildir import serve_maildir
from app.links import LinkPurpose
from app.rules.lifecycle import Actor, Kind
from app.services.mail.sender import OutboxSender
from app.services.therapists import accounts, photos, profile
from app.store.db import database
from app.store.models import Suppression, Therapist
from app.web.links import tokens
from tests.harness.browser_site import DESKTOP, OVERFLOW, PHONE, Person, served, window
from tests.harness.portraits import portrait
from tests.harness.smtp_server import LOOPBACK, MailServer, unused_port
from tests.harness.soak import runs
from tests.scenarios import full_site
from tests.scenarios.cast import MONDAY, therapist
from tests.scenarios.story import Story, total
from tests.slow.browser.conftest import Arrive, confirm

pytestmark = pytest.mark.browser

OLU = "olu@ops.example"
Scheme = Literal["light", "dark"]
Rules = dict[str, object]
WCAG: Rules = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}
# The other rules give the same result in both schemes and at both widths.
CHANGING: Rules = {
    "type": "rule",
    "values": ["color-contrast", "link-in-text-block", "target-size"],
}
Look = tuple[int, Scheme, Rules]
# In the short form, each page gets the first or the second pair in turn.
LOOKS: tuple[tuple[Look, Look], ...] = (
    ((PHONE, "light", WCAG), (DESKTOP, "dark", CHANGING)),
    ((PHONE, "dark", WCAG), (DESKTOP, "light", CHANGING)),
)
RUN = """only => axe.run(document, { runOnly: only, resultTypes: ['violations'] })
  .then(found => found.violations.flatMap(one => one.nodes.map(
    node => `${one.id}: ${node.html.slice(0, 120)} ${node.failureSummary}`)))"""
# Controls whose accessible name lacks the words that they show: people who speak to their device
# cannot use them. Signs and letter case do not matter.
UNSPEAKABLE = r"""() => {
  const plain = words => ` ${words} `.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, ' ')
  const without = (hidden, element) => {
    const copy = element.cloneNode(true)
    copy.querySelectorAll(hidden).forEach(each => each.remove())
    return copy.textContent
  }
  const shown = element => [element, ...element.labels ?? []].map(
    each => without('.visually-hidden, [hidden]', each)).join(' ')
  const name = element => element.ariaLabel ?? [element, ...element.labels ?? []].map(
    each => without('[aria-hidden=true], [hidden]', each)).join(' ')
  return [...document.querySelectorAll('a[href], button, summary, input, select, textarea')]
    .filter(each => !plain(name(each)).includes(plain(shown(each))))
    .map(each => `"${shown(each).trim()}" is named "${name(each).trim()}"`)
}"""
# Time zones that the page names more than once. Buttons may repeat them, and so may the emails
# that the mailbox shows.
ZONES_REPEATED = r"""() => {
  const copy = document.querySelector('main').cloneNode(true)
  copy.querySelectorAll('button, option, input, pre').forEach(each => each.remove())
  const named = /(London|New York), [A-Z]{3}\b|\(UTC(?=\))|\bin UTC(?=\.)/g
  const zones = (copy.textContent.match(named) ?? []).map(each => each.replace(/.*UTC/, 'UTC'))
  return [...new Set(zones.filter((zone, index) => zones.indexOf(zone) < index))]
}"""
PHOTO: Any = {"name": "me.jpg", "mimeType": "image/jpeg", "buffer": portrait()}


def faults(person: Person) -> list[str]:
    """The faults of the page that the person has open, with its address."""
    page, found = person.page, list[str]()
    page.evaluate(Axe().axe_script)
    person.pages_checked += 1
    turn = LOOKS[person.pages_checked % 2]
    for width, scheme, rules in runs(turn, LOOKS[0] + LOOKS[1]):
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(color_scheme=scheme)
        found += page.evaluate(RUN, rules)
        if wide := page.evaluate(OVERFLOW):
            found.append(f"{wide} px too wide at {width} px")
    found += page.evaluate(UNSPEAKABLE)
    if "/mailbox" not in page.url:
        found += [f"names {zone} again" for zone in page.evaluate(ZONES_REPEATED)]
    if page.locator("h1").count() != 1:
        found.append(f"{page.locator('h1').count()} main headings")
    return [f"{page.url.removeprefix(person.address)[:40]}: {fault}" for fault in found]


def look_at(person: Person, paths: list[str]) -> list[str]:
    return [fault for path in paths for fault in faults(person.open(path))]


def sign_in(asha: Person) -> Person:
    asha.open("/sign-in").type("Your email address", "asha@therapists.example")
    return asha.press("Send me a sign-in link").read("sign_in").follow("Sign In")


def show_everything_of_asha(story: Story) -> None:
    """Give Asha a photo, languages, qualifications and a usual answer time."""
    photos.replace("asha", portrait(), story.now)
    fields = {"languages": "English, Hindi", "qualifications": "MSc Psychology, MBACP (Accred)"}
    profile.update("asha", fields, story.now)
    answers = {"median_answer_s": 2300, "answers_counted": 9}
    Therapist.update(answers).where(Therapist.slug == "asha").execute()


def test_public_pages_have_no_faults(app: Flask, story: Story, arrive: Arrive) -> None:
    full_site.fill(story)
    show_everything_of_asha(story)
    visitor = arrive()
    found = look_at(visitor, full_site.public())
    visitor.page.set_viewport_size({"width": PHONE, "height": 800})
    visitor.open("/?name=asha&price=90&free=on").page.locator("summary").click()
    found += faults(visitor)
    found += faults(visitor.open("/therapists/asha").press("Ask Asha for this time, £60.00"))
    for path, button in (("/my-links", "my links"), ("/sign-in", "a sign-in link")):
        visitor.open(path).type("Your email address", "who@clients.example")
        found += faults(visitor.press(f"Send me {button}"))
    assert found == []


def test_pages_between_the_form_and_the_booking_have_no_faults(
    story: Story, arrive: Arrive
) -> None:
    story.ask(kind=Kind.FREE_CONSULTATION)
    dee = arrive().open("/therapists/asha?kind=free_consultation")
    dee.page.get_by_role("radio").last.check()
    dee.type("Your name", "Dee Stone").type("Your email", "dee@clients.example")
    found = faults(dee.press("Ask Asha for this time, free"))
    found += faults(dee.type("Your email address", "dee").press("Send the email again"))
    dee.type("Your email address", "dee@clients.example").press("Send the email again")
    found += faults(dee)
    found += faults(confirm(dee).sees("is used up"))
    found += faults(dee.read("confirm_request").follow("Confirm Request"))
    accounts.pause("asha", on=True)
    found += faults(dee.press("Confirm Request").sees("is not taking bookings"))
    assert found == []


def test_pages_behind_emailed_links_have_no_faults(
    app: Flask, story: Story, arrive: Arrive
) -> None:
    bookings = full_site.fill(story)
    with app.test_request_context():
        paths = full_site.by_link(bookings)
        choose, late, manage = (
            tokens.path(aim, bookings[name])
            for aim, name in (
                (LinkPurpose.CHOOSE, "open"),
                (LinkPurpose.DECLINE, "late"),
                (LinkPurpose.MANAGE, "accepted"),
            )
        )
    visitor = arrive()
    found = look_at(visitor, paths)
    before = config.current()
    config.use(before.model_copy(update={"press_guard": True}))
    found += faults(visitor.open(choose).press("Ask this therapist").sees("so we ask once more"))
    config.use(before)
    found += faults(visitor.open(choose).press("Ask this therapist"))
    found += faults(visitor.open(late).press("Decline"))
    found += faults(visitor.open(manage).press("Show your note and 2 messages"))
    found += faults(visitor.open(manage + "/cancel").press("Cancel the session"))
    assert found == []


def test_the_dashboards_pages_have_no_faults(app: Flask, story: Story, arrive: Arrive) -> None:
    bookings = full_site.fill(story)
    asha = sign_in(arrive())
    found = faults(asha)
    link = asha.page.url.removeprefix(asha.address)
    found += look_at(asha.press("Sign in"), full_site.for_asha(bookings))
    found += faults(
        asha.open("/dashboard/profile").type("Tuesday, from", "17:05").press("Save availability")
    )
    asha.open("/dashboard/profile").page.set_input_files("#photo-file", PHOTO)
    found += faults(asha.press("Save photo").sees("Clients see this photo now."))
    asha.page.set_input_files("#photo-file", {**PHOTO, "buffer": b"GIF89a"})
    found += faults(asha.press("Save photo").sees("This is a GIF picture."))
    asha.open("/dashboard/profile").press("Turn on the calendar address")
    found += faults(asha.press("Show only “Busy”").sees("Only “Busy”"))
    asha.open(f"/dashboard/sessions/{bookings['open'].reference}")
    for folded in ("Decline…", "Messages with Eli", "Your own notes"):
        asha.unfold(folded)
    found += faults(asha)
    asha.open(f"/dashboard/sessions/{bookings['open'].reference}")
    asha.context.clear_cookies()
    asha.unfold("Messages with Eli").type("Write to Eli", "Hello.")
    found += faults(asha.press("Send the message"))
    found += faults(asha.open(link))
    assert found == []


def test_the_ops_desks_pages_have_no_faults(app: Flask, story: Story, arrive: Arrive) -> None:
    bookings = full_site.fill(story)
    olu = arrive().open("/ops/sign-in").type("Your email address", OLU)
    found = faults(olu.press("Send me a sign-in link"))
    found += faults(olu.read("ops_sign_in").follow("Sign In"))
    found += look_at(olu.press("Sign in"), full_site.for_ops(bookings))
    olu.open("/ops/bookings").type("Client’s email address", "eve@clients.example")
    found += faults(olu.press("Search").sees("No client has this address"))
    found += faults(olu.open("/ops/outbox").press("Hold the outbox").sees("On hold since"))
    found += faults(olu.open("/ops/therapists/add").press("Add and send the welcome email"))
    Therapist.update(deactivated_at=story.now, streak=5).where(Therapist.slug == "asha").execute()
    Suppression.insert(
        address_key="asha@therapists.example", reason="550 5.1.1 no such user", at=story.now
    ).execute()
    found += look_at(olu, ["/ops/therapists", "/ops/unreachable"])
    found += faults(olu.open("/ops/therapists/asha").press("Reactivate").sees("Standing"))
    assert found == []


def test_a_new_therapists_home_has_no_faults(story: Story, arrive: Arrive) -> None:
    Therapist.update(first_steps="hours").where(Therapist.slug == "asha").execute()
    asha = sign_in(arrive()).press("Sign in").sees("Before clients ask you")
    assert faults(asha) + faults(asha.press("It is right: your rate")) == []


@pytest.mark.parametrize("times_cancelled", [0, 4, 5])
def test_an_empty_flagged_or_deactivated_dashboard_has_no_faults(
    story: Story, arrive: Arrive, times_cancelled: int
) -> None:
    for hour in range(times_cancelled):
        booking = story.ask(starts_at=story.now.replace(day=4, hour=9 + hour))
        story.accept(booking)
        story.cancel(booking, Actor.THERAPIST)
    story.sweep()
    asha = sign_in(arrive()).press("Sign in")
    if times_cancelled:
        asha.sees("Your account is flagged." if times_cancelled == 4 else "Your account is deact")
    # A flag changes Home and Ranking, and the notice that is the same above all pages.
    empty = ("?tab=upcoming", "/sessions", "/profile", "/earnings") if not times_cancelled else ()
    pages = ("", "/ranking", *empty)
    assert look_at(asha, [f"/dashboard{page}" for page in pages]) == []


def test_the_demos_mailbox_has_no_faults(
    browser: Browser, database_url: str, mail: MailServer, tmp_path: Path, at: Any
) -> None:
    at(MONDAY)
    port, folder = unused_port(), tmp_path / "demo"
    site = f"http://{LOOPBACK}:{port}"
    with serve_maildir(LOOPBACK, 0, folder / "mail") as kept:
        app = create_app(
            Settings(
                database_url=database_url,
                demo_dir=folder,
                mail_port=kept.port,
                public_url=site,
                inbound_domain="in.mindsum.invalid",
            )
        )
        try:
            with served(app, port), app.app_context(), database.connection():
                therapist("Asha Rao", "Europe/London")
                visitor = Person(window(browser), app, mail, site)
                found = look_at(visitor, ["/mailbox?still=1", "/mailbox/previews"])
                Story(app, mail, at).ask()
                total(OutboxSender(app.extensions["mailer"], clock.now).deliver())
                found += look_at(visitor, ["/mailbox/previews/sign_in", "/mailbox?still=1"])
                found += faults(visitor.follow("Asha Rao Dee, "))
                for view in ("Text", "Calendar", "Source"):
                    found += faults(visitor.follow(view))
                visitor.context.close()
        finally:
            clock.follow(None)
    assert found == []
