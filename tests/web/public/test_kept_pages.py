"""Find a Therapist is the same for everybody, so it is made once a second at most."""

import threading

import pytest

from app.store.models import Therapist
from app.web import kept_pages
from app.web.kept_pages import KeptPages
from app.web.public import directory
from tests.harness.waiting import PATIENCE_S
from tests.scenarios.story import Story
from tests.web.conftest import Visitor, counted_queries


@pytest.fixture
def minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages are kept for long."""
    monkeypatch.setattr(kept_pages, "SECONDS", 600.0)
    directory.pages.clear()


def test_a_page_is_made_once_for_all_visitors_and_again_when_it_is_old(
    story: Story, visitor: Visitor, minutes: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = visitor.get("/").text
    Therapist.update(name="Another Name").execute()
    with counted_queries() as seen:
        assert visitor.get("/").text == first
    assert seen == []
    monkeypatch.setattr(kept_pages, "SECONDS", 0.0)
    assert "Another Name" in visitor.get("/").text


def test_each_search_has_a_page_of_its_own(story: Story, visitor: Visitor, minutes: None) -> None:
    assert "/therapists/bran" in visitor.get("/").text
    assert "/therapists/bran" not in visitor.get("/?name=Asha").text
    assert "/therapists/bran" in visitor.get("/?name=Bran").text
    typed = visitor.get("/?day=soon&tz=Nirgendwo").text
    assert "Nirgendwo" in typed
    assert "Nirgendwo" not in visitor.get("/?day=soon").text


def test_only_so_many_pages_are_kept(minutes: None) -> None:
    pages = KeptPages(2)
    for key in "abc":
        pages.get(key, lambda key=key: f"first {key}")
    assert [pages.get(key, lambda: "again") for key in "bca"] == ["first b", "first c", "again"]


def test_while_one_caller_makes_a_page_others_get_the_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kept_pages, "SECONDS", 0.0)
    pages, is_making, may_end = KeptPages(2), threading.Event(), threading.Event()
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
    monkeypatch.setattr(kept_pages, "SECONDS", 600.0)
    assert pages.get("list", lambda: "never") == "new"


def test_a_page_that_cannot_be_made_is_not_answered_with_an_old_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kept_pages, "SECONDS", 0.0)
    pages = KeptPages(2)
    pages.get("list", lambda: "old")

    def fail() -> str:
        raise OSError

    for _ in range(2):
        with pytest.raises(OSError):
            pages.get("list", fail)
    assert pages.get("list", lambda: "new") == "new"
