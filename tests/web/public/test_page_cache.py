"""Find a Therapist and therapists' pages are made once a second at most."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from flask import Flask, template_rendered

from app.store.db import database
from app.store.models import Therapist
from app.web import page_cache
from app.web.page_cache import PageCache
from app.web.public import directory, therapist_page
from tests.harness.pages import ASHA, filled, token
from tests.harness.waiting import PATIENCE_S, until
from tests.scenarios.story import Story
from tests.web.conftest import Visitor, another_visitor, counted_queries


@contextmanager
def rendered(app: Flask) -> Iterator[list[str]]:
    """The templates that are rendered in the block."""
    seen: list[str] = []

    def note(_app: Flask, template: Any, **_: object) -> None:
        seen.append(template.name)

    with template_rendered.connected_to(note, app):
        yield seen


@pytest.fixture
def minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages are kept for long."""
    monkeypatch.setattr(page_cache, "SECONDS", 600.0)
    directory.pages.clear()
    therapist_page.pages.clear()


def test_a_page_is_made_once_for_all_visitors_and_again_when_it_is_old(
    story: Story, visitor: Visitor, minutes: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = visitor.get("/").text
    Therapist.update(name="Another Name").execute()
    with counted_queries() as seen:
        assert visitor.get("/").text == first
    assert seen == []
    monkeypatch.setattr(page_cache, "SECONDS", 0.0)
    assert "Another Name" in visitor.get("/").text


def test_a_kept_list_needs_no_database(
    story: Story, visitor: Visitor, minutes: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = visitor.get("/").text
    monkeypatch.setattr(database, "connection", None)
    assert visitor.get("/").text == first


def test_a_kept_page_of_a_therapist_needs_a_version_and_no_connection(
    story: Story, visitor: Visitor, minutes: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    visitor.get(ASHA)
    version = database.version()
    monkeypatch.setattr(database, "version", lambda: version)
    monkeypatch.setattr(database, "connection", None)
    assert visitor.get(ASHA).status_code == 200


def test_what_comes_in_the_body_of_a_get_is_on_no_other_visitors_page(
    app: Flask, story: Story, visitor: Visitor, minutes: None
) -> None:
    Therapist.update(is_paused=True).where(Therapist.slug == "asha").execute()
    visitor.get(ASHA, data={"note": "Call Eve instead."})
    assert "Eve" not in another_visitor(app).get(ASHA).text


def test_each_search_has_a_page_of_its_own(story: Story, visitor: Visitor, minutes: None) -> None:
    assert "/therapists/bran" in visitor.get("/").text
    assert "/therapists/bran" not in visitor.get("/?name=Asha").text
    assert "/therapists/bran" in visitor.get("/?name=Bran").text
    assert "/therapists/bran" not in visitor.get("/?price=70").text
    assert "/therapists/bran" in visitor.get("/?price=90").text
    assert visitor.get("/?sort=price").text != visitor.get("/?sort=soonest").text
    typed = visitor.get("/?day=soon&tz=Nirgendwo").text
    assert "Nirgendwo" in typed
    assert "Nirgendwo" not in visitor.get("/?day=soon").text


def test_a_visitor_who_has_just_asked_is_not_offered_that_time_again(
    story: Story, visitor: Visitor, minutes: None
) -> None:
    taken = "at=2026-11-03T10:00:00Z"
    query = f"/?name=Asha&day={story.now:%Y}-11-03&tz=UTC"
    assert taken in visitor.get(query).text
    assert visitor.post(ASHA, data=filled(visitor)).status_code == 303
    assert taken not in visitor.get(query).text


def test_a_therapists_page_is_rendered_once_for_all_visitors(
    app: Flask, story: Story, visitor: Visitor, minutes: None
) -> None:
    with rendered(app) as pages:
        first, other = visitor.get(ASHA), another_visitor(app).get(ASHA)
        assert len(pages) == 1
        visitor.get(f"{ASHA}?tz=Asia/Tokyo")
        visitor.get(f"{ASHA}?tz=Nirgendwo")
        assert len(pages) == 3
    for name in ("csrf_token", "form_key"):
        assert len(token(first, name)) > 20
        assert token(first, name) != token(other, name)


def test_each_visitor_can_send_the_form_of_a_kept_page(
    app: Flask, story: Story, visitor: Visitor, minutes: None
) -> None:
    later = {"starts_at": "2026-11-03T12:00:00Z", "email": "eli@clients.example"}
    for each, changed in ((visitor, {}), (another_visitor(app), later)):
        assert each.post(ASHA, data=filled(each, **changed)).status_code == 303


def test_a_time_that_was_just_taken_is_on_no_later_page_however_long_pages_are_kept(
    story: Story, visitor: Visitor, minutes: None
) -> None:
    at = 'value="2026-11-03T10:00:00Z"'
    assert at in visitor.get(ASHA).text
    booking = story.ask(starts_at=story.now.replace(day=3, hour=10, minute=0))
    assert at not in visitor.get(ASHA).text
    story.withdraw(booking)
    assert at in visitor.get(ASHA).text


def test_a_page_that_only_its_head_was_asked_of_still_asks_for_the_time_zone(
    story: Story, visitor: Visitor, minutes: None
) -> None:
    for path in ("/", ASHA):
        assert visitor.head(path).status_code == 200
        assert 'name="time-zone"' in visitor.get(path).text


def test_a_changed_profile_shows_at_once(story: Story, visitor: Visitor, minutes: None) -> None:
    assert "£60.00" in visitor.get(ASHA).text
    Therapist.update(rate_minor=7500).where(Therapist.slug == "asha").execute()
    assert "£75.00" in visitor.get(ASHA).text


def test_only_so_many_pages_are_kept(minutes: None) -> None:
    pages = PageCache[str](2)
    for key in "abc":
        pages.get(key, lambda key=key: f"first {key}")
    assert [pages.get(key, lambda: "again") for key in "bca"] == ["first b", "first c", "again"]


def test_while_one_caller_makes_a_page_others_get_the_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(page_cache, "SECONDS", 0.0)
    pages, is_making, may_end = PageCache[str](2), threading.Event(), threading.Event()
    pages.get("list", lambda: "old")

    def make() -> str:
        is_making.set()
        assert may_end.wait(PATIENCE_S)
        return "new"

    slow = threading.Thread(target=pages.get, args=("list", make))
    slow.start()
    assert is_making.wait(PATIENCE_S)
    assert pages.get("list", lambda: "never") == "old"
    may_end.set()
    slow.join()
    monkeypatch.setattr(page_cache, "SECONDS", 600.0)
    assert pages.get("list", lambda: "never") == "new"


def test_callers_for_whom_there_is_no_page_wait_for_the_one_who_makes_it(minutes: None) -> None:
    pages, is_making, may_end = PageCache[str](2), threading.Event(), threading.Event()
    found: list[str] = []

    def make() -> str:
        assert not is_making.is_set(), "only one makes it"
        is_making.set()
        assert may_end.wait(PATIENCE_S)
        return "new"

    callers = [
        threading.Thread(target=lambda: found.append(pages.get("list", make))) for _ in range(3)
    ]
    for caller in callers:
        caller.start()
    assert is_making.wait(PATIENCE_S)
    # Another version is another page.
    assert pages.get("list", lambda: "other", version=2) == "other"
    may_end.set()
    for caller in callers:
        caller.join()
    assert found == ["new"] * 3


class Wanted:
    """A page's key that counts how often it was looked for."""

    def __init__(self) -> None:
        self.looks = 0

    def __hash__(self) -> int:
        self.looks += 1
        return 7


def test_callers_who_waited_for_a_page_that_could_not_be_made_try_together(minutes: None) -> None:
    pages, key, may_fail = PageCache[str](2), Wanted(), threading.Event()
    together, found = threading.Barrier(2), list[str]()

    def fail() -> str:
        assert may_fail.wait(PATIENCE_S)
        raise OSError

    def make() -> str:
        together.wait(PATIENCE_S)
        return "new"

    def first() -> None:
        with suppress(OSError):
            pages.get(key, fail)

    def start(caller: Callable[[], object]) -> threading.Thread:
        thread, before = threading.Thread(target=caller), key.looks
        thread.start()
        # It looks for the page, and whether somebody makes it, and then makes it or waits.
        until("the caller", lambda: key.looks >= before + 2)
        # Which needs what the caller holds until then.
        pages.clear()
        return thread

    callers = [start(first), *(start(lambda: found.append(pages.get(key, make))) for _ in range(2))]
    may_fail.set()
    for each in callers:
        each.join()
    assert found == ["new"] * 2


def test_a_page_that_cannot_be_made_is_not_answered_with_an_old_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(page_cache, "SECONDS", 0.0)
    pages = PageCache[str](2)
    pages.get("list", lambda: "old")

    def fail() -> str:
        raise OSError

    for _ in range(2):
        with pytest.raises(OSError):
            pages.get("list", fail)
    assert pages.get("list", lambda: "new") == "new"
