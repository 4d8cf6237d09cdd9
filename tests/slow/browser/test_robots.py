"""Programs that open every link of an email and press every button change and read nothing."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from random import Random

import pytest
from flask import Flask
from playwright.sync_api import Page

from app import config
from app.rules.lifecycle import Actor, Kind, Status
from app.rules.press_guard import SCANNED_WITHIN
from app.services import availability
from tests.harness.browser_site import bare_tab
from tests.harness.page_stories import all_rows, forms
from tests.harness.soak import runs
from tests.scenarios.cast import read_cast
from tests.scenarios.scanned_mail import WRITTEN, Mail, arriving, read_links
from tests.scenarios.story import ELI, Story
from tests.slow.browser.conftest import Arrive
from tests.web.conftest import Visitor, another_visitor

pytestmark = pytest.mark.browser

EMAILS = runs(60, 1000)
VISITS = runs(60, 1000)
ASKED = "What would you like to do?"
ALL = "[...document.querySelectorAll('button, input[type=submit]')]"
# Where each leads but for the token, its name or words, what it sends, and whether its form can be
# sent as it stands.
BUTTONS = f"""() => {ALL}.map(each => [
  each.formAction.replace(/(link.[^/]+).[^/]+/, '$1') + ' ' + (each.name || each.textContent),
  each.value,
  Boolean(each.form && (each.formNoValidate || each.form.noValidate || each.form.checkValidity()))
])"""
# The robots in browsers, by their seeds; together they get all emails.
BROWSERS = runs([21], [21, 22])
# The page that suggests times has thirty alike buttons that show another day: so often each of
# them is pressed, and else one.
EVERY_ALIKE = runs(0.0, 0.1)
# The robot without a browser gives up on a chain of pages after so many presses.
DEPTH = 3


@pytest.fixture(autouse=True)
def guarded(app: Flask) -> None:
    config.use(config.current().model_copy(update={"press_guard": True}))


def presses_by_http(story: Story, random: Random) -> Callable[[str], Iterator[str]]:
    """Visits a link and posts every form it reaches, hidden fields included, without choosing."""
    robot = another_visitor(story.app)

    def visit(path: str, depth: int = 0) -> Iterator[str]:
        story.wait(seconds=random.uniform(0, 5))
        page = robot.get(path, follow_redirects=True)
        yield page.text
        yield from _post_all(robot, page, path, depth)
        onward = set(re.findall(r'href="(/link/[^"#]+)"', page.text))
        if depth < DEPTH:
            for each in sorted(onward - {path}):
                yield from visit(each, depth + DEPTH)

    def _post_all(robot: Visitor, page: object, path: str, depth: int) -> Iterator[str]:
        for form in random.sample(found := forms(page), len(found)):  # type: ignore[arg-type]
            story.wait(seconds=random.uniform(0, 5))
            answer = robot.post(form.action or path, data=form.fields, follow_redirects=True)
            yield answer.text
            if depth < DEPTH:
                yield from _post_all(robot, answer, form.action or path, depth + 1)

    return visit


@dataclass(frozen=True)
class Button:
    kind: str
    value: str
    # Whether pressing it leads to another page.
    sends: bool


def presses_in_chromium(
    page: Page, address: str, story: Story, random: Random
) -> Callable[[str], Iterator[str]]:
    """Visits a link in a browser and presses each button of its page, and of the pages that these
    lead to each of a new kind: dozens show another day.
    """

    def press(button: Button) -> str:
        story.wait(seconds=random.uniform(0, 5))
        _press(page, button)
        return page.content()

    def open_page(path: str) -> str:
        page.goto(address + path, wait_until="domcontentloaded")
        return page.content()

    def visit(path: str) -> Iterator[str]:
        kinds: set[str] = set()
        # The buttons that lead from the link's page to a button that waits, and that one.
        ways: list[list[Button]] = [[]]
        while ways:
            here = _buttons(page)
            way = next((each for each in ways if each and each[-1] in here), ways[-1])
            ways.remove(way)
            if way and way[-1] in here:
                yield press(way[-1])
            else:
                yield open_page(path)
                for button in way:
                    yield press(button)
            while fresh := [each for each in _buttons(page) if each.kind not in kinds]:
                kinds.update(each.kind for each in fresh)
                if random.random() >= EVERY_ALIKE:
                    fresh = list({each.kind: each for each in fresh}.values())
                *others, button = random.sample(fresh, len(fresh))
                ways += [[*way, other] for other in others]
                way = [*way, button]
                yield press(button)

    return visit


def _buttons(page: Page) -> list[Button]:
    """Those that are folded away too."""
    return [Button(*each) for each in page.evaluate(BUTTONS)]


def _press(page: Page, button: Button) -> None:
    """It may have gone, where the page is another one by now."""
    buttons = _buttons(page)
    if button not in buttons:
        return
    press = partial(page.evaluate, f"number => {ALL}[number].click()", buttons.index(button))
    if button.sends:
        with page.expect_navigation(wait_until="domcontentloaded"):
            press()
    else:
        press()


def see_nothing_happen(
    story: Story, mail: Mail, visit: Callable[[str], Iterator[str]], random: Random
) -> None:
    before, at = all_rows(), story.now
    story.wait(seconds=random.uniform(0, 90))
    for path in random.sample(mail.paths, len(mail.paths)):
        for page in visit(path):
            assert not any(written in page for written in WRITTEN), (mail.kind, story.now - at)
    after = all_rows()
    changed = [name for name in before if before[name] != after[name]]
    assert not changed, (mail.kind, changed, story.now - at)


def test_a_program_that_posts_every_form_does_nothing(story: Story) -> None:
    random, kinds = Random(20), set()
    for mail in islice(arriving(story), EMAILS):
        see_nothing_happen(story, mail, presses_by_http(story, random), random)
        kinds.add(mail.kind)
    assert kinds >= {"booking_requested", "answer_late_client", "confirm_request", "sign_in"}


@pytest.mark.parametrize("seed", BROWSERS)
def test_a_browser_that_presses_every_button_does_nothing(
    story: Story, arrive: Arrive, seed: int
) -> None:
    random, robot = Random(seed), arrive()
    for mail in islice(arriving(story), EMAILS // len(BROWSERS)):
        with bare_tab(robot.context) as tab:
            visit = presses_in_chromium(tab, robot.address, story, random)
            see_nothing_happen(story, mail, visit, random)


def test_people_are_never_refused_and_asked_once_more_only_when_the_email_is_new(
    story: Story,
) -> None:
    random = Random(22)
    visits = [_visit(story, random) for _ in range(VISITS)]
    asked = [visit.was_asked for visit in visits if visit.pressed_after < SCANNED_WITHIN]
    asked_later = [visit.was_asked for visit in visits if visit.pressed_after >= SCANNED_WITHIN]
    assert all(asked) and not any(asked_later)
    assert min(len(asked), len(asked_later)) > 0.2 * VISITS


@dataclass(frozen=True)
class Visit:
    # After the hand-over.
    pressed_after: timedelta
    was_asked: bool


def _next_open_time(story: Story) -> datetime:
    """The first of Asha's after two days."""
    asha, from_at = read_cast().asha, story.now + timedelta(days=2)
    until_at = from_at + timedelta(days=30)
    return availability.open_times(
        asha, Kind.PAID, from_at=from_at, until_at=until_at, now=story.now
    )[0]


def _visit(story: Story, random: Random) -> Visit:
    """A person opens a link of a new email and presses; if asked, they choose the same."""
    booking = story.ask(starts_at=_next_open_time(story), client=ELI)
    emails = {mail.parsed["X-Mindsum-Email"]: read_links(mail) for mail in story.sent()}
    handed_over_at = story.now
    after_s = random.choice((random.uniform(5, 150), random.uniform(5, 3 * 3600)))
    story.wait(seconds=after_s)
    # Half of them read the email on a second device.
    device, verb = another_visitor(story.app), random.choice(("accept", "decline"))
    [path] = [each for each in emails["booking_requested"].paths if f"/{verb}/" in each]
    if random.random() < 0.5:
        device.get(path)
        device = another_visitor(story.app)
        story.wait(seconds=random.uniform(11, 30))
    [form] = forms(device.get(path))
    story.wait(seconds=random.uniform(2, 30))
    pressed_after = story.now - handed_over_at
    answer = device.post(path, data=form.fields)
    was_asked = ASKED in answer.text
    if was_asked:
        story.wait(seconds=random.uniform(2, 30))
        answer = device.post(path, data={**forms(answer)[0].fields, "choice": verb})
    assert answer.status_code == 200 and ASKED not in answer.text
    wanted = Status.ACCEPTED if verb == "accept" else Status.DECLINED
    assert story.reload(booking).status is wanted
    if verb == "accept":
        # So that others find an open time.
        story.cancel(booking, Actor.CLIENT)
    return Visit(pressed_after, was_asked)
