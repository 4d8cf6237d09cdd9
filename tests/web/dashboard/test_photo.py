"""The photo in Profile Settings, and as visitors get it."""

import io
import re
from typing import Any

import pytest
from flask import Flask
from werkzeug.datastructures import FileStorage
from werkzeug.test import TestResponse, encode_multipart

from app.services.therapists import accounts, photos
from app.services.therapists.erase import erase_therapist
from app.services.therapists.photo_file import MOST_BYTES
from app.store.models import Therapist, TherapistPhoto
from app.web import bodies
from tests.harness.page_stories import Form, all_rows, forms, sign_in
from tests.harness.pages import text
from tests.harness.portraits import drawn, file_of, halves, opened, portrait
from tests.harness.smtp_server import MailServer
from tests.scenarios.cast import MONDAY, Cast
from tests.web.conftest import Visitor, another_visitor

PROFILE = "/dashboard/profile"
TYPED = {"headline": "Typed and <b>not saved</b>", "rate": "71.00", "monday_from": "10:00"}


@pytest.fixture
def asha(app: Flask, mail: MailServer, cast: Cast, visitor: Visitor) -> Visitor:
    """Asha, signed in."""
    sign_in(app, mail, visitor, "asha@therapists.example")
    return visitor


def form_of(page: TestResponse, action: str) -> Form:
    return next(form for form in forms(page) if form.action.endswith(action))


def upload(
    asha: Visitor, content: bytes | None, name: str = "me.jpg", **typed: str
) -> TestResponse:
    """Press Save photo with that file chosen; None: with no file."""
    form = form_of(asha.get(PROFILE), "/photo")
    data: dict[str, Any] = {**form.fields, **typed}
    # A browser sends an empty file with an empty name where none was chosen.
    sent = io.BytesIO(content or b"")
    data["photo"] = FileStorage(sent, name if content is not None else "")
    # The client itself would put a large body into a file that it leaves open.
    boundary, body = encode_multipart(data)
    content_type = f"multipart/form-data; boundary={boundary}"
    return asha.post(form.action, data=body, content_type=content_type)


def picture_of(page: TestResponse) -> str | None:
    found = re.search(r'<img class="portrait[^"]*" src="([^"]+)"', page.text)
    return found[1] if found else None


def section(page: TestResponse) -> str:
    return page.text.partition('id="photo"')[2].partition("</section>")[0]


@pytest.mark.both_databases
def test_a_photo_takes_the_place_of_the_initials_wherever_the_therapist_is_shown(
    asha: Visitor, app: Flask
) -> None:
    visitor = another_visitor(app)
    assert picture_of(visitor.get("/therapists/asha")) is None
    done = upload(asha, portrait())
    assert (done.status_code, done.headers["Location"]) == (303, f"{PROFILE}#said")
    assert "Saved. Clients see this photo now." in section(asha.get(PROFILE))
    for path in ("/", "/therapists/asha", "/therapists/asha?kind=free_consultation"):
        page = visitor.get(path)
        source = picture_of(page)
        assert source is not None
        assert 'alt="Photo of Asha Rao"' in page.text
        assert opened(visitor.get(source).data).format == "WEBP"
    removed = form_of(asha.get(PROFILE), "/remove-photo")
    page = asha.post(removed.action, data=removed.fields, follow_redirects=True)
    assert "Removed. Clients see your initials now." in section(page)
    assert picture_of(another_visitor(app).get("/therapists/asha")) is None


def test_a_photo_is_served_for_a_month_under_an_address_of_its_own(
    asha: Visitor, app: Flask
) -> None:
    upload(asha, portrait())
    source = picture_of(asha.get(PROFILE))
    assert source is not None
    answer = another_visitor(app).get(source)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "image/webp"
    assert answer.headers["Cache-Control"] == "public, max-age=2592000, immutable"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert "Set-Cookie" not in answer.headers
    again = another_visitor(app).get(source, headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    upload(asha, file_of(halves()))
    assert another_visitor(app).get(source).status_code == 404


@pytest.mark.parametrize("path", ["small/x", "large/" + "0" * 32, "large/%00", "huge/x", "large"])
def test_no_other_address_has_a_photo(cast: Cast, visitor: Visitor, path: str) -> None:
    answer = visitor.get(f"/photos/{path}.webp")
    assert answer.status_code in (400, 404)
    assert answer.headers["Cache-Control"] == "no-store"


def test_who_is_not_shown_has_no_photo_either(cast: Cast, visitor: Visitor) -> None:
    photos.replace("asha", portrait(), MONDAY)
    source = picture_of(visitor.get("/therapists/asha")) or ""
    accounts.hide("asha", on=True)
    assert picture_of(visitor.get("/therapists/asha")) == source
    assert visitor.get(source).status_code == 200
    accounts.pause("asha", on=True)
    assert picture_of(visitor.get("/therapists/asha")) is None
    assert visitor.get(source).status_code == 404
    accounts.pause("asha", on=False)
    erase_therapist("asha", MONDAY)
    assert visitor.get(source).status_code == 404


REFUSED = {
    "gif": (file_of(halves(), "GIF"), "me.jpg", "This is a GIF picture."),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "me.svg", "This is an SVG drawing."),
    "heic": (b"\0\0\0\x18ftypheic", "IMG_1.HEIC", "This is an HEIC picture."),
    "moving": (file_of(halves(), "WEBP", save_all=True, append_images=[drawn(400, 200)],
               duration=90), "me.webp", "This picture moves."),
    "cut": (portrait()[:900], "me.jpg", "damaged or incomplete"),
    "text": (b"hello", "me.png", "not a picture that we know"),
    "tiny": (file_of(halves(60, 60)), "me.jpg", "at least 100 × 100"),
    "a bit too large": (portrait() + b"\0" * MOST_BYTES, "me.jpg", "larger than 5 MB"),
    "none": (None, "", "There is no file."),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_cannot_be_taken_is_named_and_nothing_typed_is_lost(
    asha: Visitor, name: str
) -> None:
    upload(asha, portrait())
    before = all_rows()
    content, file_name, said = REFUSED[name]
    refused = upload(asha, content, file_name, **TYPED)
    assert refused.status_code == 422
    assert said in text(refused)
    assert said.split(".")[0] in section(refused)
    assert re.search(r'id="photo-file"[^>]*aria-invalid="true"', refused.text)
    shown = form_of(refused, "/photo").fields
    assert {name: shown[name] for name in TYPED} == TYPED
    assert refused.text.count("Not saved yet") == 3
    assert all_rows() == before


def test_a_photo_that_is_taken_keeps_what_was_typed_elsewhere(asha: Visitor) -> None:
    done = upload(asha, portrait(), **TYPED)
    assert done.status_code == 200
    assert "Saved. Clients see this photo now." in section(done)
    assert picture_of(done) is not None
    shown = form_of(done, "/photo").fields
    assert {name: shown[name] for name in TYPED} == TYPED
    assert Therapist.get(Therapist.slug == "asha").headline == ""


def test_a_right_picture_is_taken_whatever_its_name_says(asha: Visitor) -> None:
    for number, name in enumerate(("me.gif", "../../etc/passwd", "a.html", "\u202egpj.exe")):
        assert upload(asha, file_of(halves(300 + number, 300)), name).status_code == 303
    assert TherapistPhoto.select().count() == 1


def test_a_file_far_above_the_limit_is_answered_with_what_was_typed(asha: Visitor) -> None:
    before = all_rows()
    content = b"\xff\xd8\xff" + b"\0" * bodies.LIMITS["photo.change"]
    refused = upload(asha, content, about="An hour of <i>typing</i>.", headline="Calm")
    assert refused.status_code == 413
    assert "A photo may have 5 MB at most" in refused.text
    assert "An hour of &lt;i&gt;typing&lt;/i&gt;." in refused.text
    assert f'href="{PROFILE}"' in refused.text
    assert "Send me my links again" not in refused.text
    assert all_rows() == before


def test_only_the_button_of_the_photo_sends_the_file(asha: Visitor) -> None:
    tags = re.findall(r"<button[^>]*formenctype[^>]*>", asha.get(PROFILE).text)
    assert [re.search(r'formaction="([^"]+)"', tag)[1] for tag in tags] == [f"{PROFILE}/photo"]  # type: ignore[index]


def test_a_photo_without_a_token_or_a_sign_in_is_not_taken(asha: Visitor, app: Flask) -> None:
    before = all_rows()
    sent: dict[str, Any] = {"photo": (io.BytesIO(portrait()), "me.jpg"), "about": "Typed."}
    for who, status in ((asha, 400), (another_visitor(app), 401)):
        sent["photo"] = (io.BytesIO(portrait()), "me.jpg")
        answer = who.post(f"{PROFILE}/photo", data=sent)
        assert answer.status_code == status
        assert "Typed." in answer.text
    assert all_rows() == before


def test_uploads_are_limited(app: Flask, cast: Cast, mail: MailServer, limited: Visitor) -> None:
    sign_in(app, mail, limited, "asha@therapists.example")
    statuses = [upload(limited, b"GIF89a").status_code for _ in range(11)]
    assert statuses == [422] * 10 + [429]
