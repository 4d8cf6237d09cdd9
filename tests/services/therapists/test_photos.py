"""A therapist's photo: stored beside their row, replaced, removed, and gone with the account."""

import base64

import pytest

from app.errors import InvalidFields, NotFound
from app.services.therapists import accounts, photos
from app.services.therapists.erase import erase_therapist
from app.services.therapists.export import export_therapist
from app.store.models import Therapist, TherapistPhoto
from app.store.queries.photos import shown_photo
from tests.harness.portraits import drawn, file_of, halves, opened, portrait
from tests.scenarios.cast import MONDAY, Cast
from tests.web.conftest import counted_queries


def key_of(slug: str) -> str | None:
    found: str | None = Therapist.get(Therapist.slug == slug).photo_key
    return found


@pytest.mark.both_databases
def test_a_photo_is_stored_in_two_sizes_and_found_by_its_key(cast: Cast) -> None:
    photos.replace("asha", portrait(), MONDAY)
    key = key_of("asha")
    assert key is not None
    small, large = (shown_photo(key, is_large=each) for each in (False, True))
    assert small is not None and large is not None
    assert opened(small).size < opened(large).size
    assert shown_photo("0" * 32, is_large=True) is None


@pytest.mark.both_databases
def test_another_photo_takes_its_place_under_another_key(cast: Cast) -> None:
    photos.replace("asha", portrait(), MONDAY)
    first = key_of("asha")
    photos.replace("asha", file_of(halves()), MONDAY)
    assert key_of("asha") != first
    assert TherapistPhoto.select().count() == 1
    photos.remove("asha")
    assert key_of("asha") is None
    assert not TherapistPhoto.select().exists()
    photos.remove("asha")


@pytest.mark.both_databases
def test_two_therapists_can_have_the_same_picture(cast: Cast) -> None:
    for slug in ("asha", "bran"):
        photos.replace(slug, portrait(), MONDAY)
    assert key_of("asha") != key_of("bran")


def test_a_file_that_is_refused_leaves_the_photo_as_it_is(cast: Cast) -> None:
    photos.replace("asha", portrait(), MONDAY)
    before = key_of("asha")
    with pytest.raises(InvalidFields) as refusal:
        photos.replace("asha", b"GIF89a", MONDAY)
    assert refusal.value.errors[0].field == "photo"
    assert key_of("asha") == before
    with pytest.raises(NotFound):
        photos.replace("nobody", portrait(), MONDAY)


@pytest.mark.both_databases
def test_a_photo_is_shown_while_its_therapist_takes_bookings(cast: Cast) -> None:
    photos.replace("asha", portrait(), MONDAY)
    key = key_of("asha") or ""
    for change, is_shown in (
        (lambda: accounts.hide("asha", on=True), True),
        (lambda: accounts.pause("asha", on=True), False),
        (lambda: accounts.pause("asha", on=False), True),
        (lambda: Therapist.update(deactivated_at=MONDAY).execute(), False),
    ):
        change()
        assert (shown_photo(key, is_large=False) is not None) == is_shown


def test_an_export_holds_the_photo_and_erasing_removes_it(cast: Cast) -> None:
    photos.replace("asha", file_of(drawn()), MONDAY)
    key = key_of("asha") or ""
    exported = export_therapist("asha", MONDAY)["photo"]
    assert base64.b64decode(exported["base64"]) == shown_photo(key, is_large=True)
    assert export_therapist("bran", MONDAY)["photo"] is None
    erase_therapist("asha", MONDAY)
    assert shown_photo(key, is_large=False) is None
    assert not TherapistPhoto.select().exists()


def test_a_therapist_is_read_without_the_pictures(cast: Cast) -> None:
    photos.replace("asha", portrait(), MONDAY)
    with counted_queries() as seen:
        assert key_of("asha")
    assert len(seen) == 1
    assert "therapist_photo" not in seen[0]
